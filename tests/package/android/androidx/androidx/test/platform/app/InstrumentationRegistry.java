package androidx.test.platform.app;

import android.content.Context;
import java.io.File;

public final class InstrumentationRegistry {
    public static Instrumentation getInstrumentation() {
        return new Instrumentation();
    }

    public static class Instrumentation {
        public Context getTargetContext() {
            return new Context(new File(System.getProperty("assets")), false);
        }
    }
}
