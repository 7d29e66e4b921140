import java.io.FileOutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import sun.misc.Signal;

/**
 * A program on a JVM that reloads on SIGHUP: the virtual machine takes the signal long before the
 * program does, and ends by it.
 *
 * <p>Late MILLISECONDS LOG PORT: after so long it takes SIGHUP, then answers at PORT that it is
 * ready. One byte in LOG for each delivery.
 */
final class Late {
    public static void main(String[] words) throws Exception {
        FileOutputStream log = new FileOutputStream(words[1], true);
        Thread.sleep(Integer.parseInt(words[0]));
        Signal.handle(new Signal("HUP"), signal -> count(log));
        byte[] answer = "HTTP/1.1 204 Ready\r\nconnection: close\r\n\r\n".getBytes("US-ASCII");
        int port = Integer.parseInt(words[2]);
        ServerSocket listener = new ServerSocket(port, 16, InetAddress.getByName("127.0.0.1"));
        while (true) {
            try (Socket caller = listener.accept()) {
                caller.getInputStream().read(new byte[4096]);
                caller.getOutputStream().write(answer);
            }
        }
    }

    private static void count(FileOutputStream log) {
        try {
            log.write('h');
        } catch (java.io.IOException error) {
            throw new IllegalStateException(error);
        }
    }
}
