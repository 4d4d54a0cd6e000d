package org.tensorflow.lite;

import edgekd.standin.Served;
import java.nio.ByteBuffer;
import java.util.Map;

public final class Interpreter implements AutoCloseable {
    private final Served served;

    public static class Options {
        private int threads = -1;

        public Options setNumThreads(int count) {
            threads = count;
            return this;
        }
    }

    public Interpreter(ByteBuffer model, Options options) {
        served = new Served(model, ".tflite", options.threads);
    }

    public int getInputTensorCount() {
        return served.inputs.length;
    }

    public int getOutputTensorCount() {
        return served.outputs.length;
    }

    public Tensor getInputTensor(int index) {
        return named(served.inputs[index]);
    }

    public Tensor getOutputTensor(int index) {
        return named(served.outputs[index]);
    }

    private static Tensor named(final String name) {
        return new Tensor() {
            @Override
            public String name() {
                return name;
            }
        };
    }

    public void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs) {
        ByteBuffer[] given = new ByteBuffer[inputs.length];
        for (int each = 0; each < given.length; each++) {
            given[each] = (ByteBuffer) inputs[each];
        }
        ByteBuffer[] found = served.run(given);
        for (Map.Entry<Integer, Object> each : outputs.entrySet()) {
            ((ByteBuffer) each.getValue()).put(found[each.getKey()]);
        }
    }

    @Override
    public void close() {
        served.close();
    }
}
