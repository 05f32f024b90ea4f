/*
 * One request each with java.net.http and HttpsURLConnection, with the JVM's own trust; prints "ok" for each.
 *
 * TlsClient URL
 */
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import javax.net.ssl.HttpsURLConnection;

public class TlsClient {
	public static void main(String[] args) throws Exception {
		HttpRequest request = HttpRequest.newBuilder(URI.create(args[0]))
		    .POST(HttpRequest.BodyPublishers.ofString("<soap/>")).build();
		int status = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode();
		System.out.println(status == 200 ? "ok" : "status " + status);

		HttpsURLConnection connection = (HttpsURLConnection) new URL(args[0]).openConnection();
		connection.setDoOutput(true);
		connection.getOutputStream().write("<soap/>".getBytes("US-ASCII"));
		status = connection.getResponseCode();
		connection.getInputStream().readAllBytes();
		connection.disconnect();
		System.out.println(status == 200 ? "ok" : "status " + status);
	}
}
