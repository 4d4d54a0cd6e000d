package edgekd.bundle;

import android.content.Context;
import java.nio.ByteBuffer;

/** LiteRT: its interpreter on the processor, its compiled models on everything else. */
final class Engines {
    private Engines() {}

    static Engine open(Context context, String path, ByteBuffer file, Spec spec, Options options)
            throws Exception {
        if (options.accelerator == Accelerator.CPU) {
            return new Interpreted(file, spec, options);
        }
        return new Compiled(context.getAssets(), path, spec, options);
    }
}
