# bash completion for midrelay.  Commands, options and their words are read from `midrelay --help` and `midrelay COMMAND
# --help`, so that this file need not know them.

# The words that may follow OPTION ("url|proxy|tls", "FILE", nothing): _midrelay_value HELP OPTION
_midrelay_value()
{
	sed -n "s/.*[[ ]$2 \\([^] [-][^] ]*\\).*/\\1/p" <<<"$1" | head -n 1
}

_midrelay_relays()
{
	local file=$1 program=$2

	[[ -n $file ]] || file=$("$program" --help 2>/dev/null | sed -n 's/^The default FILE is \(.*\)\.$/\1/p')
	sed -n 's/^[[:space:]]*\[relay[[:space:]]\{1,\}\([^]]*[^][:space:]]\)[[:space:]]*\].*/\1/p' "$file" 2>/dev/null
}

# What an operand or an option's value may be, "table|json" or "FILE": its lower-case words, and files for the rest.
_midrelay_offer()
{
	local words=$1

	case $words in
	*FILE* | *DIRECTORY* | *OUT* | *PREFIX* | *XML*)
		_filedir
		;;
	esac
	words=$(tr '|' '\n' <<<"$words" | grep -v '[A-Z<"]')
	COMPREPLY+=($(compgen -W "$words" -- "$cur"))
	__ltrim_colon_completions "$cur"
}

_midrelay()
{
	local cur prev words cword program command help file i

	_init_completion -n := || return
	program=${words[0]/#\~/$HOME}
	if ((cword == 1)); then
		COMPREPLY=($(compgen -W "$("$program" --help 2>/dev/null |
			sed -n 's/^  \([a-z][a-z]*\) .*/\1/p') --help --version" -- "$cur"))
		return
	fi
	command=${words[1]}
	help=$("$program" "$command" --help 2>/dev/null) || return
	for ((i = 2; i < cword; i++)); do
		case ${words[i]} in
		-c | --config) file=${words[i + 1]/#\~/$HOME} ;;
		-c?*) file=${words[i]#-c} ;;
		--config=*) file=${words[i]#--config=} ;;
		esac
	done
	if [[ $prev == -* ]]; then
		i=$(_midrelay_value "$help" "$prev")
		if [[ -n $i ]]; then
			_midrelay_offer "$i"
			return
		fi
	fi
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(grep -oE '(^|[[ |])--?[a-z][a-z-]*' <<<"$help" | tr -d '[ |') --help" -- "$cur"))
		return
	fi
	case $command in
	check)
		COMPREPLY=($(compgen -W "$(_midrelay_relays "$file" "$program")" -- "$cur"))
		;;
	explain)
		COMPREPLY=($(compgen -W "$("$program" explain 2>/dev/null | grep -oE '^ *[a-z0-9]+(-[a-z0-9]+)+ ')" -- "$cur"))
		;;
	bundle)
		if ((cword == 2)); then
			_midrelay_offer "$(sed -n '1s/^usage: midrelay bundle //p' <<<"$help")"
		else
			_filedir
		fi
		;;
	import)
		_filedir '@(xml|XML)'
		;;
	esac
} && complete -F _midrelay midrelay
