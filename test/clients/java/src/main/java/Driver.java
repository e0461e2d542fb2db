// SPDX-License-Identifier: MIT

import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.WebSocket;
import okhttp3.WebSocketListener;
import okhttp3.internal.sse.RealEventSource;
import okhttp3.sse.EventSource;
import okhttp3.sse.EventSourceListener;
import okio.ByteString;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * Clients in Java for test/clients: Driver KIND URL [TRANSPORT...]
 *
 * The protocol of a driver is in ../clients.test.mjs. KIND: socketio, ws, sse (both of OkHttp).
 */
public class Driver {
    private static volatile WebSocket socket;

    // An object of names and values in turn; this JSON library's exceptions are checked ones.
    private static JSONObject object(Object... pairs) {
        try {
            JSONObject out = new JSONObject();
            for (int i = 0; i < pairs.length; i += 2) out.put((String) pairs[i], pairs[i + 1]);
            return out;
        } catch (JSONException e) {
            throw new IllegalStateException(e);
        }
    }

    private static synchronized void say(Object... pairs) {
        System.out.println(object(pairs));
        System.out.flush();
    }

    private static void state(String name) {
        say("state", name);
    }

    private static void got(String event, Object... args) {
        say("got", event, "args", plain(args));
    }

    private static byte[] bytesOf(int size) {
        byte[] b = new byte[size];
        for (int i = 0; i < size; i++) b[i] = (byte) (i * 31);
        return b;
    }

    private static JSONArray plain(Object[] args) {
        JSONArray out = new JSONArray();
        for (Object arg : args) {
            if (arg instanceof byte[]) {
                byte[] b = (byte[]) arg;
                long sum = 0;
                for (int i = 0; i < b.length; i++) sum += (long) (b[i] & 255) * (i % 251 + 1);
                out.put(object("size", b.length, "sum", sum));
            } else if (!(arg instanceof Ack)) {
                out.put(arg);
            }
        }
        return out;
    }

    private static Object[] list(JSONArray array) throws JSONException {
        Object[] out = new Object[array.length()];
        for (int i = 0; i < out.length; i++) out[i] = array.get(i);
        return out;
    }

    interface Handler {
        void handle(JSONObject order) throws Exception;
    }

    private static void orders(Handler handler) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            JSONObject order = new JSONObject(line);
            if (order.getString("do").equals("close")) return;
            handler.handle(order);
        }
    }

    private static void socketIO(String url, String[] transports) throws Exception {
        IO.Options options = new IO.Options();
        options.transports = transports;
        options.reconnectionDelay = 200;
        options.reconnectionDelayMax = 1000;
        Socket s = IO.socket(url, options);
        s.on(Socket.EVENT_CONNECT, args -> state("connected"));
        s.on(Socket.EVENT_DISCONNECT, args -> state("disconnected"));
        s.onAnyIncoming(args -> got((String) args[0], Arrays.copyOfRange(args, 1, args.length)));
        s.connect();
        orders(order -> {
            switch (order.getString("do")) {
            case "bytes":
                s.emit("bytes", (Object) bytesOf(order.getInt("size")));
                break;
            case "emit":
                s.emit(order.getString("event"), list(order.getJSONArray("args")));
                break;
            default:
                s.emit(order.getString("event"), list(order.getJSONArray("args")),
                    (Ack) args -> say("ack", plain(args)));
            }
        });
        s.disconnect();
    }

    private static void later(Runnable what) {
        try {
            TimeUnit.MILLISECONDS.sleep(200);
        } catch (InterruptedException e) {
            return;
        }
        what.run();
    }

    // OkHttp leaves reconnection to its user.
    private static void connectWebSocket(OkHttpClient client, String url) {
        client.newWebSocket(new Request.Builder().url(url).build(), new WebSocketListener() {
            @Override
            public void onOpen(WebSocket ws, Response response) {
                socket = ws;
                state("connected");
            }

            @Override
            public void onMessage(WebSocket ws, String text) {
                got("message", text);
            }

            @Override
            public void onMessage(WebSocket ws, ByteString bytes) {
                got("message", bytes.toByteArray());
            }

            @Override
            public void onClosing(WebSocket ws, int code, String reason) {
                ws.close(1000, null);
            }

            @Override
            public void onClosed(WebSocket ws, int code, String reason) {
                state("disconnected");
                later(() -> connectWebSocket(client, url));
            }

            @Override
            public void onFailure(WebSocket ws, Throwable t, Response response) {
                state("disconnected");
                later(() -> connectWebSocket(client, url));
            }
        });
    }

    private static void connectEventSource(OkHttpClient client, String url) {
        Request request = new Request.Builder().url(url).header("Accept", "text/event-stream").build();
        new RealEventSource(request, new EventSourceListener() {
            @Override
            public void onOpen(EventSource source, Response response) {
                state("connected");
            }

            @Override
            public void onEvent(EventSource source, String id, String type, String data) {
                got(type == null ? "message" : type, data);
            }

            @Override
            public void onClosed(EventSource source) {
                state("disconnected");
                later(() -> connectEventSource(client, url));
            }

            @Override
            public void onFailure(EventSource source, Throwable t, Response response) {
                state("disconnected");
                later(() -> connectEventSource(client, url));
            }
        }).connect(client);
    }

    public static void main(String[] args) throws Exception {
        OkHttpClient client = new OkHttpClient.Builder().readTimeout(0, TimeUnit.MILLISECONDS).build();
        switch (args[0]) {
        case "socketio":
            socketIO(args[1], Arrays.copyOfRange(args, 2, args.length));
            break;
        case "ws":
            connectWebSocket(client, args[1]);
            orders(order -> {
                if (order.getString("do").equals("bytes")) socket.send(ByteString.of(bytesOf(order.getInt("size"))));
                else socket.send(order.getString("text"));
            });
            break;
        default:
            connectEventSource(client, args[1]);
            orders(order -> {
            });
        }
        System.exit(0);
    }
}
