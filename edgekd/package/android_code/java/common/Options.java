package edgekd.bundle;

import org.jetbrains.annotations.NotNull;

/** How a model is run. Small networks are fastest on one thread of the processor, the default. */
public final class Options {
    int threads = 1;
    Accelerator accelerator = Accelerator.CPU;

    /** Threads of the runtime on the processor, 1 or more. */
    public @NotNull Options threads(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("threads: " + count + ", and at least 1 is needed");
        }
        threads = count;
        return this;
    }

    public @NotNull Options accelerator(@NotNull Accelerator chosen) {
        accelerator = chosen;
        return this;
    }
}
