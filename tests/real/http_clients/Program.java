import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.Arrays;
import java.util.Set;

/**
 * Sends the requests that stdin names, one line each, with one client, and prints one line for each
 * answer. test_http_clients.py describes both lines.
 */
abstract class Program {
  record Request(String method, URI url, byte[] body, Set<String> words) {
    boolean has(String word) {
      return words.contains(word);
    }
  }

  record Answer(int status, String type, String body) {}

  abstract Answer send(Request request) throws Exception;

  final void run() throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      System.out.println(answer(line.split(" ")));
    }
    System.exit(0); // a client may have threads of its own
  }

  private String answer(String[] words) {
    Set<String> rest = Set.copyOf(Arrays.asList(words).subList(3, words.length));
    byte[] body = bytes(Integer.parseInt(words[2]));
    try {
      Answer answer = send(new Request(words[0], URI.create(words[1]), body, rest));
      return answer.status + "\t" + answer.type + "\t" + answer.body.replaceAll("\\s+", " ");
    } catch (Exception error) {
      return "0\t-\t" + String.valueOf(error).replaceAll("\\s+", " ");
    }
  }

  private static byte[] bytes(int size) {
    byte[] made = new byte[size];
    for (int i = 0; i < size; i++) {
      made[i] = (byte) ('a' + i % 26);
    }
    return made;
  }
}
