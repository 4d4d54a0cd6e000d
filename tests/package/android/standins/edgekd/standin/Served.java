package edgekd.standin;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;

/**
 * The real runtime behind the stand-ins: a Python process with LiteRT or ONNX Runtime in it, which
 * `serve_model.py` beside them is. The properties `python` and `serve` say where they are.
 */
public final class Served implements AutoCloseable {
    private final Process process;
    private final DataOutputStream asked;
    private final DataInputStream answered;
    public final String[] inputs;
    public final String[] outputs;

    public Served(ByteBuffer model, String suffix, int threads) {
        try {
            File file = File.createTempFile("model", suffix);
            try (FileOutputStream stream = new FileOutputStream(file);
                    FileChannel channel = stream.getChannel()) {
                channel.write(model.duplicate());
            }
            process =
                    new ProcessBuilder(
                                    System.getProperty("python"),
                                    System.getProperty("serve"),
                                    file.getPath(),
                                    Integer.toString(threads))
                            .redirectError(ProcessBuilder.Redirect.INHERIT)
                            .start();
            asked = new DataOutputStream(process.getOutputStream());
            answered = new DataInputStream(process.getInputStream());
            inputs = names();
            outputs = names();
            file.delete();
        } catch (IOException error) {
            throw new UncheckedIOException("the model cannot be loaded", error);
        }
    }

    private String[] names() throws IOException {
        String[] found = new String[answered.readInt()];
        for (int each = 0; each < found.length; each++) {
            found[each] = new String(block(), StandardCharsets.UTF_8);
        }
        return found;
    }

    private byte[] block() throws IOException {
        byte[] content = new byte[answered.readInt()];
        answered.readFully(content);
        return content;
    }

    /** The outputs' bytes for the inputs' bytes, both in the file's order. */
    public ByteBuffer[] run(ByteBuffer[] given) {
        try {
            for (ByteBuffer each : given) {
                ByteBuffer view = each.duplicate();
                byte[] content = new byte[view.remaining()];
                view.get(content);
                asked.writeInt(content.length);
                asked.write(content);
            }
            asked.flush();
            ByteBuffer[] found = new ByteBuffer[outputs.length];
            for (int each = 0; each < found.length; each++) {
                found[each] = ByteBuffer.wrap(block()).order(ByteOrder.nativeOrder());
            }
            return found;
        } catch (IOException error) {
            throw new UncheckedIOException("the model does not answer", error);
        }
    }

    @Override
    public void close() {
        process.destroy();
    }
}
