package ai.onnxruntime;

import edgekd.standin.Served;
import java.nio.ByteBuffer;

public class OrtEnvironment {
    private static final OrtEnvironment ONLY = new OrtEnvironment();

    public static OrtEnvironment getEnvironment() {
        return ONLY;
    }

    public OrtSession createSession(byte[] model, OrtSession.SessionOptions options)
            throws OrtException {
        return new OrtSession(new Served(ByteBuffer.wrap(model), ".onnx", options.threads));
    }
}
