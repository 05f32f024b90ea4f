/* check_instance: see check_instance.h.  Knows no socket and no report. */
#include "check/check_instance.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "dial/first_answer.h"

#define SHOWN_BODY_BYTES 61

bool check_probing_parse(const char *word, enum check_probing *probing)
{
	static const char *const words[] = {
	    [CHECK_PROBE_AUTO] = "auto",
	    [CHECK_PROBE_INSTANCE] = "instance",
	    [CHECK_PROBE_HTTP] = "http",
	    [CHECK_PROBE_NONE] = "none",
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0) {
			*probing = (enum check_probing)i;
			return true;
		}
	}
	return false;
}

const char *check_question_text(enum check_question question)
{
	switch (question) {
	case CHECK_ASK_SERVER:
		return "GET /adcv2/server";
	case CHECK_ASK_SUPPORTS_TLS:
		return "GET /adcv2/supports_tls";
	case CHECK_ASK_INSTANCE_INFO:
		return "POST /InstanceInfo.do?SOAP";
	case CHECK_ASK_ROOT:
		return "GET /";
	}
	return "?";
}

char *check_question_request(enum check_question question, const char *host, size_t *len)
{
	static const char soap[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">"
	    "<soapenv:Body><Get/></soapenv:Body></soapenv:Envelope>\n";
	bool post = question == CHECK_ASK_INSTANCE_INFO;
	char more[160] = "";
	char *request;

	if (post)
		snprintf(more, sizeof(more), "Content-Type: text/xml;charset=UTF-8\r\nSOAPAction: Get\r\n"
		    "Content-Length: %zu\r\n", strlen(soap));
	request = mem_printf("%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: midrelay/%s\r\nAccept: */*\r\n%sConnection: close\r\n"
	    "\r\n%s", check_question_text(question), host, PACKAGE_VERSION, more, post ? soap : "");
	*len = strlen(request);
	return request;
}

bool check_instance_has_name(const char *host)
{
	/* The second one is that of the cloud for government. */
	static const char *const domains[] = {".service-now.com", ".servicenowservices.com"};
	size_t i, len = strlen(host);

	for (i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
		size_t tail = strlen(domains[i]);

		if (len > tail && strcasecmp(host + len - tail, domains[i]) == 0)
			return true;
	}
	return false;
}

bool check_instance_answered(const struct check_answer *answer)
{
	return strstr(answer->server, "snow_adc") != NULL;
}

/* The beginning of a body that may say what is wrong. */
static const char *show_body(const struct check_answer *answer, char buf[SHOWN_BODY_BYTES])
{
	const char *from = answer->body;
	size_t len = answer->body_len;

	while (len > 0 && isspace((unsigned char)*from)) {
		from++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)from[len - 1]))
		len--;
	return text_escape(from, len, buf, SHOWN_BODY_BYTES);
}

/* "HTTP/1.1 404 Not Found", with Server and Location where there are any. */
static const char *show_answer(const struct check_answer *answer, char *buf, size_t buf_bytes)
{
	snprintf(buf, buf_bytes, "\"%s\"%s%s%s%s", answer->status_line, answer->server[0] != '\0' ? ", Server: " : "",
	    answer->server, answer->location[0] != '\0' ? ", Location: " : "", answer->location);
	return buf;
}

bool check_instance_refuses_cert(const struct check_answer *answer, bool cert_sent, const char *target,
    struct diagnosis *diagnosis)
{
	char shown[3 * CHECK_ANSWER_TEXT_BYTES];
	const char *page = first_answer_page(answer->bytes, answer->bytes_len);

	if (page == NULL)
		return false;
	diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_CERT_REFUSED, "%s answered %s with its page \"%s\" (%s certificate was "
	    "sent)", target, show_answer(answer, shown, sizeof(shown)), page, cert_sent ? "our" : "no");
	return true;
}

static bool is_redirect(const struct check_answer *answer)
{
	return answer->status / 100 == 3;
}

/* One and the same page for everything, or a redirect to the page of an ended session. */
static bool hibernates(const struct check_answer *answer, const struct check_answer *server)
{
	if (is_redirect(answer) && strstr(answer->location, "/session_timeout.do") != NULL)
		return true;
	return check_instance_answered(answer) && answer->status == 200 && check_answer_is_page(answer) &&
	    server != NULL && server->status == 200 && check_answer_is_page(server);
}

static bool judge_supports_tls(const struct check_answer *answer, const char *asked, const char *shown,
    struct diagnosis *diagnosis)
{
	char body[SHOWN_BODY_BYTES];

	if (is_redirect(answer)) {
		diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT, "%s was redirected: %s", asked, shown);
		return false;
	}
	if (answer->status != 200) {
		diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_STATUS, "%s was answered %s", asked, shown);
		return false;
	}
	if (!check_instance_answered(answer)) {
		diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_NOT_ADCV2, "%s was answered by something else than snow_adc: %s",
		    asked, shown);
		return false;
	}
	if (check_answer_is_page(answer) ||
	    !(check_answer_contains(answer, "true") || check_answer_contains(answer, "mixed"))) {
		diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT, "%s was answered \"%s\", not true or mixed", asked,
		    show_body(answer, body));
		return false;
	}
	return true;
}

static bool judge_server(const struct check_answer *answer, const char *asked, const char *shown,
    struct diagnosis *diagnosis)
{
	if (answer->status == 200 && check_instance_answered(answer))
		return true;
	if (answer->status == 200 || answer->status == 404 || is_redirect(answer))
		diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_NOT_ADCV2, "%s was answered %s", asked, shown);
	else
		diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_STATUS, "%s was answered %s", asked, shown);
	return false;
}

bool check_instance_judge(enum check_question question, const struct check_answer *answer,
    const struct check_answer *server, struct diagnosis *diagnosis)
{
	const char *asked = check_question_text(question);
	char shown[4 * CHECK_ANSWER_TEXT_BYTES];

	show_answer(answer, shown, sizeof(shown));
	if (hibernates(answer, question == CHECK_ASK_SERVER ? NULL : server)) {
		diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_HIBERNATING, "%s was answered %s%s", asked, shown,
		    is_redirect(answer) ? "" : " with the same page as everything else");
		return false;
	}
	switch (question) {
	case CHECK_ASK_SERVER:
		return judge_server(answer, asked, shown, diagnosis);
	case CHECK_ASK_SUPPORTS_TLS:
		return judge_supports_tls(answer, asked, shown, diagnosis);
	case CHECK_ASK_INSTANCE_INFO:
		/* A SOAP fault is 500, and is the answer of an instance at work (SOAP 1.1 6.2). */
		if (answer->status == 200 || (answer->status == 500 && check_answer_contains(answer, "Fault>")))
			return true;
		diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_STATUS, "%s was answered %s", asked, shown);
		return false;
	case CHECK_ASK_ROOT:
		return true;
	}
	return true;
}
