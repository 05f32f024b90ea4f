/*
 * Asks with a cookie store, as a MID Server does: Apache Commons HttpClient 3.1, one HttpClient for all requests.
 * Follows redirects, and prints the status and body of each answer.
 *
 * CookieClient PROXY|- URL...     PROXY: HOST:PORT
 */
import org.apache.commons.httpclient.HttpClient;
import org.apache.commons.httpclient.cookie.CookiePolicy;
import org.apache.commons.httpclient.methods.GetMethod;

public class CookieClient {
	public static void main(String[] args) throws Exception {
		HttpClient client = new HttpClient();
		if (!args[0].equals("-")) {
			String[] proxy = args[0].split(":");
			client.getHostConfiguration().setProxy(proxy[0], Integer.parseInt(proxy[1]));
		}
		client.getParams().setCookiePolicy(CookiePolicy.BROWSER_COMPATIBILITY);
		for (int i = 1; i < args.length; i++) {
			GetMethod get = new GetMethod(args[i]);
			try {
				int status = client.executeMethod(get);
				System.out.print(status + " " + get.getResponseBodyAsString());
			} finally {
				get.releaseConnection();
			}
		}
	}
}
