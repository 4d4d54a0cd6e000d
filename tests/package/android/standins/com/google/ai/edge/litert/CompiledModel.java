package com.google.ai.edge.litert;

import android.content.res.AssetManager;
import java.util.List;

/** Signatures as LiteRT 2's Kotlin class has them for Java; here is no accelerator. */
public final class CompiledModel implements AutoCloseable {
    private CompiledModel() {}

    public static final class Options {
        public Options(Accelerator... accelerators) {}
    }

    public static CompiledModel create(AssetManager assets, String name, Options options)
            throws LiteRtException {
        throw new LiteRtException();
    }

    public native List<TensorBuffer> createInputBuffers() throws LiteRtException;

    public native List<TensorBuffer> createOutputBuffers() throws LiteRtException;

    public native void run(List<TensorBuffer> inputs, List<TensorBuffer> outputs)
            throws LiteRtException;

    @Override
    public void close() {}
}
