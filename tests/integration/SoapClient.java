/*
 * Posts SOAP as a MID Server does: Apache Commons HttpClient 3.1, one shared connection manager, keep-alive, many
 * threads.  Prints one line, "ok REQUESTS", or what went wrong.
 *
 * SoapClient URL THREADS REQUESTS_PER_THREAD BODY_BYTES
 */
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.commons.httpclient.HttpClient;
import org.apache.commons.httpclient.MultiThreadedHttpConnectionManager;
import org.apache.commons.httpclient.methods.ByteArrayRequestEntity;
import org.apache.commons.httpclient.methods.PostMethod;
import org.apache.commons.httpclient.params.HttpMethodParams;
import org.apache.commons.httpclient.DefaultHttpMethodRetryHandler;

public class SoapClient {
	private static byte[] envelope(long seed, int bytes) {
		String head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="
		    + "\"http://schemas.xmlsoap.org/soap/envelope/\"><SOAP-ENV:Body><insert><payload>";
		String tail = "</payload></insert></SOAP-ENV:Body></SOAP-ENV:Envelope>";
		byte[] body = new byte[Math.max(bytes, head.length() + tail.length())];
		Random random = new Random(seed);
		for (int i = 0; i < body.length; i++)
			body[i] = (byte) ('a' + random.nextInt(26));
		System.arraycopy(head.getBytes(), 0, body, 0, head.length());
		System.arraycopy(tail.getBytes(), 0, body, body.length - tail.length(), tail.length());
		return body;
	}

	private static String hex(byte[] bytes) {
		StringBuilder text = new StringBuilder();
		for (byte b : bytes)
			text.append(String.format("%02x", b & 0xff));
		return text.toString();
	}

	private static void post(HttpClient client, String url, byte[] body, String digest) throws Exception {
		PostMethod post = new PostMethod(url);
		post.getParams().setVirtualHost("instance.lab.test");
		// A replay would hide a lost answer.
		post.getParams().setParameter(HttpMethodParams.RETRY_HANDLER, new DefaultHttpMethodRetryHandler(0, false));
		post.setRequestHeader("User-Agent", "internal_soap_client");
		post.setRequestHeader("SOAPAction", "insert");
		post.setRequestEntity(new ByteArrayRequestEntity(body, "text/xml;charset=UTF-8"));
		try {
			int status = client.executeMethod(post);
			String answer = post.getResponseBodyAsString();
			if (status != 200)
				throw new Exception("Method failed: " + post.getStatusLine());
			if (!answer.contains("\"body_bytes\": " + body.length) && !answer.contains("length " + body.length + " "))
				throw new Exception("wrong length in: " + answer);
			if (answer.contains("body_sha256") && !answer.contains(digest))
				throw new Exception("wrong digest in: " + answer);
			if (!answer.contains("mid-one"))
				throw new Exception("not our certificate in: " + answer);
		} finally {
			post.releaseConnection();
		}
	}

	public static void main(String[] args) throws Exception {
		final String url = args[0];
		final int threads = Integer.parseInt(args[1]);
		final int requests = Integer.parseInt(args[2]);
		final int bytes = Integer.parseInt(args[3]);
		MultiThreadedHttpConnectionManager connections = new MultiThreadedHttpConnectionManager();
		connections.getParams().setDefaultMaxConnectionsPerHost(threads);
		connections.getParams().setMaxTotalConnections(threads);
		connections.getParams().setConnectionTimeout(10000);
		connections.getParams().setSoTimeout(60000);
		final HttpClient client = new HttpClient(connections);
		final byte[] shared = bytes > 1000000 ? envelope(1, bytes) : null;
		ExecutorService pool = Executors.newFixedThreadPool(threads);
		List<Future<Integer>> results = new ArrayList<>();
		for (int t = 0; t < threads; t++) {
			final int thread = t;
			results.add(pool.submit(new Callable<Integer>() {
				public Integer call() throws Exception {
					for (int n = 0; n < requests; n++) {
						byte[] body = shared != null ? shared : envelope(thread * 1000003L + n, bytes);
						String digest = hex(MessageDigest.getInstance("SHA-256").digest(body));
						post(client, url + "/ecc_queue.do?SOAP&thread=" + thread + "&n=" + n, body, digest);
					}
					return requests;
				}
			}));
		}
		int total = 0;
		try {
			for (Future<Integer> result : results)
				total += result.get();
		} catch (Exception e) {
			e.printStackTrace();
			System.exit(1);
		}
		pool.shutdown();
		connections.shutdown();
		System.out.println("ok " + total);
	}
}
