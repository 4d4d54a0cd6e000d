package edgekd.bundle;

import ai.onnxruntime.OrtException;
import android.content.Context;
import java.nio.ByteBuffer;

/** ONNX Runtime: on the processor, or through NNAPI. */
final class Engines {
    private Engines() {}

    static Engine open(Context context, String path, ByteBuffer file, Spec spec, Options options)
            throws OrtException {
        byte[] content = Assets.bytes(file);
        try {
            return new Session(content, spec, options, true);
        } catch (OrtException refused) { // weights that share a zero point cannot be loaded so
            return new Session(content, spec, options, false);
        }
    }
}
