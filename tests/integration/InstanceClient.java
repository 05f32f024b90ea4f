/*
 * Does what a MID Server does with its instance, with one of the HTTP libraries that it is made of: logs in, comes back with
 * its cookies, follows a redirect, posts SOAP, listens to two channels by long polling (Bayeux), and fetches an upgrade.
 * Prints a line for each.
 *
 * InstanceClient commons|jetty|jdk PROXY|- BASE [DOWNLOAD]     PROXY: HOST:PORT; BASE: URL without a path; DOWNLOAD: URL
 */
import java.net.CookieManager;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.commons.httpclient.HttpMethod;
import org.apache.commons.httpclient.MultiThreadedHttpConnectionManager;
import org.apache.commons.httpclient.cookie.CookiePolicy;
import org.apache.commons.httpclient.methods.GetMethod;
import org.apache.commons.httpclient.methods.PostMethod;
import org.apache.commons.httpclient.methods.StringRequestEntity;
import org.eclipse.jetty.client.HttpProxy;
import org.eclipse.jetty.client.api.ContentResponse;
import org.eclipse.jetty.client.api.Request;
import org.eclipse.jetty.client.util.StringContentProvider;
import org.eclipse.jetty.util.ssl.SslContextFactory;

public class InstanceClient {
	/* Cookies are kept and redirects followed; `body` null: GET. */
	interface Client {
		String ask(String url, String type, String body) throws Exception;
	}

	static class Commons implements Client {
		private final org.apache.commons.httpclient.HttpClient client =
		    new org.apache.commons.httpclient.HttpClient(new MultiThreadedHttpConnectionManager());

		Commons(String host, int port) {
			if (host != null)
				client.getHostConfiguration().setProxy(host, port);
			client.getParams().setCookiePolicy(CookiePolicy.BROWSER_COMPATIBILITY);
		}

		public String ask(String url, String type, String body) throws Exception {
			HttpMethod method = body == null ? new GetMethod(url) : new PostMethod(url);
			if (body != null)
				((PostMethod) method).setRequestEntity(new StringRequestEntity(body, type, "UTF-8"));
			try {
				int status = client.executeMethod(method);
				return status + " " + method.getResponseBodyAsString();
			} finally {
				method.releaseConnection();
			}
		}
	}

	static class Jetty implements Client {
		private final org.eclipse.jetty.client.HttpClient client =
		    new org.eclipse.jetty.client.HttpClient(new SslContextFactory.Client());

		Jetty(String host, int port) throws Exception {
			if (host != null)
				client.getProxyConfiguration().getProxies().add(new HttpProxy(host, port));
			client.setConnectTimeout(10000);
			client.start();
		}

		public String ask(String url, String type, String body) throws Exception {
			Request request = body == null ? client.newRequest(url) : client.POST(url);
			if (body != null)
				request.content(new StringContentProvider(type, body, java.nio.charset.StandardCharsets.UTF_8));
			ContentResponse response = request.timeout(30, TimeUnit.SECONDS).send();
			return response.getStatus() + " " + response.getContentAsString();
		}
	}

	static class Jdk implements Client {
		private final java.net.http.HttpClient client;

		Jdk(String host, int port) {
			java.net.http.HttpClient.Builder builder = java.net.http.HttpClient.newBuilder()
			    .cookieHandler(new CookieManager()).version(java.net.http.HttpClient.Version.HTTP_1_1)
			    .followRedirects(java.net.http.HttpClient.Redirect.ALWAYS);
			if (host != null)
				builder.proxy(ProxySelector.of(new InetSocketAddress(host, port)));
			client = builder.build();
		}

		public String ask(String url, String type, String body) throws Exception {
			HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
			if (body != null)
				request.header("Content-Type", type).POST(HttpRequest.BodyPublishers.ofString(body));
			HttpResponse<String> response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
			return response.statusCode() + " " + response.body();
		}
	}

	private final Client client;
	private final String base;
	private final ExecutorService others = Executors.newCachedThreadPool();

	InstanceClient(Client client, String base) {
		this.client = client;
		this.base = base;
	}

	private void say(String what, String answer) {
		System.out.println(what + " " + answer.trim());
	}

	private String bayeux(String path, String message) throws Exception {
		return client.ask(base + "/cometd/" + path, "application/json", "[" + message + "]");
	}

	private static String held(Future<String> answer) throws Exception {
		Matcher data = Pattern.compile("\"data\":\"([^\"]*)\"").matcher(answer.get(30, TimeUnit.SECONDS));
		return data.find() ? data.group(1) : "nothing";
	}

	/* As CometD's client: one request is held by the server all the time, and others go beside it. */
	private void listen() throws Exception {
		String shaken = bayeux("handshake", "{\"channel\":\"/meta/handshake\",\"version\":\"1.0\","
		    + "\"supportedConnectionTypes\":[\"long-polling\"]}");
		Matcher id = Pattern.compile("\"clientId\":\"([^\"]*)\"").matcher(shaken);
		if (!id.find())
			throw new Exception("no clientId: " + shaken);
		String mine = ",\"clientId\":\"" + id.group(1) + "\"}";
		Callable<String> connect = () -> bayeux("connect",
		    "{\"channel\":\"/meta/connect\",\"connectionType\":\"long-polling\"" + mine);
		StringBuilder heard = new StringBuilder();
		Future<String> waiting = others.submit(connect);
		for (String channel : new String[] {"/amb/one", "/amb/two"})
			bayeux("", "{\"channel\":\"/meta/subscribe\",\"subscription\":\"" + channel + "\"" + mine);
		for (String channel : new String[] {"/amb/one", "", "/amb/two"}) {
			long began = System.nanoTime();
			if (!channel.isEmpty())
				client.ask(base + "/publish?" + channel, null, null);
			heard.append(held(waiting)).append(' ');
			if (channel.isEmpty() && System.nanoTime() - began < 1_500_000_000L)
				heard.append("(not held) ");
			if (!channel.equals("/amb/two"))
				waiting = others.submit(connect);
		}
		say("amb", heard.toString());
	}

	private void run(String download) throws Exception {
		StringBuilder soap = new StringBuilder("<soap>");
		for (int i = 0; i < 5000; i++)
			soap.append("row ").append(i);
		say("login", client.ask(base + "/login", null, null));
		say("next", client.ask(base + "/next", null, null));
		say("old", client.ask(base + "/old", null, null));
		say("soap", client.ask(base + "/InstanceInfo.do?SOAP", "text/xml", soap.toString()));
		listen();
		if (download != null)
			say("download", client.ask(download, null, null));
	}

	public static void main(String[] args) throws Exception {
		String[] proxy = args[1].equals("-") ? new String[] {null, "0"} : args[1].split(":");
		int port = Integer.parseInt(proxy[1]);
		Client client = args[0].equals("commons") ? new Commons(proxy[0], port)
		    : args[0].equals("jetty") ? new Jetty(proxy[0], port) : new Jdk(proxy[0], port);
		new InstanceClient(client, args[2]).run(args.length > 3 ? args[3] : null);
		System.exit(0);
	}
}
