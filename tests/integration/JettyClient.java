/*
 * Posts as a MID Server's message channel does, with Jetty's HttpClient.  Prints "ok STATUS", or on standard error what it
 * would log: the status line, or the exception.
 *
 * JettyClient URL BODY_BYTES
 */
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.client.api.ContentResponse;
import org.eclipse.jetty.client.util.BytesContentProvider;

public class JettyClient {
	public static void main(String[] args) throws Exception {
		HttpClient client = new HttpClient();
		int status = 1;
		client.setConnectTimeout(10000);
		client.setMaxRequestsQueuedPerDestination(10);
		client.start();
		try {
			ContentResponse response = client.POST(args[0])
			    .header("Content-Type", "application/json")
			    .content(new BytesContentProvider(new byte[Integer.parseInt(args[1])]))
			    .timeout(60, TimeUnit.SECONDS).send();
			if (response.getStatus() == 200) {
				System.out.println("ok 200");
				status = 0;
			} else {
				System.err.println("failed: " + response.getStatus() + " " + response.getReason());
				System.err.println(response.getContentAsString());
			}
		} catch (Exception e) {
			e.printStackTrace();
		} finally {
			client.stop();
		}
		System.exit(status);
	}
}
