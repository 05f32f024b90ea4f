#!/bin/sh
# Proves that nothing banned is called, and says what to use instead.  Comments and strings do not count.
set -eu

top=${srcdir:-$(dirname "$0")/..}
[ -f "$top/src/main.c" ] || top=$(dirname "$0")/..
cd "$top"

# where | what | why, and what to use instead
#   where: src (all of src), src-mem (src but for base/mem.c, and for the allocator that OpenSSL asks), c (src and the tests in C), py (tests in Python)
#   what: NAME( a call, NAME* any use of a name that begins so, NAME any use, OBJECT.NAME( a call in Python
banned() {
	cat <<-'TABLE'
	c|strcpy(|knows no bound: snprintf(), mem_strdup() or memcpy() with a length
	c|strcat(|knows no bound: snprintf() or mem_printf()
	c|sprintf(|knows no bound: snprintf() or mem_printf()
	c|vsprintf(|knows no bound: vsnprintf()
	c|strncpy(|may leave the end off: snprintf() or mem_strndup()
	c|strncat(|its bound is not what one thinks: snprintf()
	c|gets(|knows no bound: fgets()
	c|strtok(|keeps its state in the process: strcspn() and a pointer
	c|atoi(|takes rubbish for 0: text_parse_uint()
	c|atol(|takes rubbish for 0: text_parse_uint()
	c|atoll(|takes rubbish for 0: text_parse_uint()
	c|atof(|takes rubbish for 0
	c|alloca(|a stack without a bound: a fixed buffer or mem_calloc()
	c|tmpnam(|a race: mkstemp()
	c|mktemp(|a race: mkstemp()
	src|system(|a shell: nothing here runs other programs
	src|popen(|a shell: nothing here runs other programs
	src|fork(|after OpenSSL and threads: nothing here runs other programs
	src|rand(|not random: RAND_bytes() in tls
	src|srand(|not random: RAND_bytes() in tls
	src|random(|not random: RAND_bytes() in tls
	src|gethostbyname(|blocks, and keeps its answer in the process: dial/resolver
	src|gethostbyname_r(|blocks: dial/resolver
	src|evdns_*|ignores nsswitch: dial/resolver
	src|inet_ntoa(|keeps its answer in the process: addr_format()
	src|localtime(|keeps its answer in the process: gmtime_r()
	src|gmtime(|keeps its answer in the process: gmtime_r()
	src|sleep(|blocks a loop: a timer event
	src|usleep(|blocks a loop: a timer event
	src|nanosleep(|blocks a loop: a timer event
	src|select(|fails past 1,024 descriptors: loop/loop
	src|bufferevent_*|loses bytes at EOF and never sends close_notify (libevent 2.1.12): tls/stream on a watch
	src|SSL_OP_IGNORE_UNEXPECTED_EOF|takes a truncated stream for a whole one; it may only be cleared
	src|assert(|goes away with NDEBUG: midrelay_assert()
	src-mem|malloc(|may return NULL: mem_calloc()
	src-mem|calloc(|may return NULL: mem_calloc()
	src-mem|realloc(|may return NULL: mem_realloc()
	src-mem|strdup(|may return NULL: mem_strdup()
	src-mem|strndup(|may return NULL: mem_strndup()
	src-mem|asprintf(|may fail: mem_printf()
	src-mem|vasprintf(|may fail: mem_printf()
	py|time.sleep(|a guess at how long something takes: wait_until(); pace() for traffic with a rhythm
	py|os.system(|a shell: subprocess with a list
	TABLE
}

sources=$(find src tests/unit tests/fuzz tests/bench -name '*.[ch]' 2>/dev/null | sort)
pythons=$(find tests contrib -name '*.py' 2>/dev/null | sort)

# shellcheck disable=SC2086
banned | awk '
	# The line without comments and without what stands in quotes; `state` goes on to the next line: "" code,
	# "*" a C comment, or the three quotes of a Python string.
	function code_of(line, python,    out, c, two, three, end) {
		out = ""
		while (line != "") {
			c = substr(line, 1, 1)
			two = substr(line, 1, 2)
			three = substr(line, 1, 3)
			if (state == "*") {
				if (!(end = index(line, "*/")))
					return out
				line = substr(line, end + 2)
				state = ""
			} else if (state != "") {
				if (!(end = index(line, state)))
					return out
				line = substr(line, end + 3)
				state = ""
			} else if (python && (three == "\"\"\"" || three == "\047\047\047")) {
				state = three
				line = substr(line, 4)
			} else if (!python && two == "/*") {
				state = "*"
				line = substr(line, 3)
			} else if (!python && two == "//" || python && c == "#") {
				return out
			} else if (c == "\"" || c == "\047") {
				line = after_string(line, c)
				out = out "\"\""
			} else {
				out = out c
				line = substr(line, 2)
			}
		}
		return out
	}
	function after_string(line, quote,    i, c) {
		for (i = 2; i <= length(line); i++) {
			c = substr(line, i, 1)
			if (c == "\\")
				i++
			else if (c == quote)
				return substr(line, i + 1)
		}
		return ""
	}
	function applies(where) {
		if (python)
			return where == "py"
		if (where == "c")
			return 1
		return FILENAME ~ /^src\// && (where == "src" || where == "src-mem" &&
		    FILENAME !~ /^src\/(base\/mem|tls\/record_buffers)\.c$/)
	}
	function judge(name, rest, before,    i, what) {
		for (i = 1; i <= rules; i++) {
			what = names[i]
			if (kinds[i] == "prefix" ? index(name, what) != 1 : name != what)
				continue
			if (kinds[i] == "call" && rest !~ /^[ \t]*\(/)
				continue
			if (name == "SSL_OP_IGNORE_UNEXPECTED_EOF" && before ~ /clear_options\(/)
				continue
			# A member or method of that name is another thing.
			if (before ~ /(\.|->)$/ && !python)
				continue
			if (!applies(wheres[i]))
				continue
			printf "%s:%d: %s is banned: %s\n", FILENAME, FNR, name, whys[i]
			offenders++
		}
	}
	FILENAME == "-" {
		split($0, field, "|")
		rules++
		wheres[rules] = field[1]
		whys[rules] = field[3]
		names[rules] = field[2]
		kinds[rules] = "name"
		if (sub(/\($/, "", names[rules]))
			kinds[rules] = "call"
		else if (sub(/\*$/, "", names[rules]))
			kinds[rules] = "prefix"
		next
	}
	FNR == 1 {
		state = ""
		files++
		python = FILENAME ~ /\.py$/
		word = python ? "[A-Za-z_][A-Za-z0-9_.]*" : "[A-Za-z_][A-Za-z0-9_]*"
	}
	{
		rest = code_of($0, python)
		before = ""
		while (match(rest, word)) {
			before = before substr(rest, 1, RSTART - 1)
			name = substr(rest, RSTART, RLENGTH)
			rest = substr(rest, RSTART + RLENGTH)
			judge(name, rest, before)
			before = before name
		}
	}
	END {
		if (files < 2 || rules < 10) {
			print "check-banned: no sources found"
			exit 1
		}
		if (offenders)
			exit 1
		printf "check-banned: %d files, %d rules, nothing banned\n", files, rules
	}' - $sources $pythons
