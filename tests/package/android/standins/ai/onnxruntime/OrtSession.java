package ai.onnxruntime;

import edgekd.standin.Served;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;

public class OrtSession implements AutoCloseable {
    private final Served served;

    OrtSession(Served served) {
        this.served = served;
    }

    public Result run(Map<String, ? extends OnnxTensorLike> inputs) throws OrtException {
        ByteBuffer[] given = new ByteBuffer[served.inputs.length];
        for (int each = 0; each < given.length; each++) {
            given[each] = ((OnnxTensor) inputs.get(served.inputs[each])).content;
        }
        return new Result(served.outputs, served.run(given));
    }

    @Override
    public void close() throws OrtException {
        served.close();
    }

    public static class SessionOptions implements AutoCloseable {
        int threads = 1;

        public void setIntraOpNumThreads(int count) throws OrtException {
            threads = count;
        }

        public void setInterOpNumThreads(int count) throws OrtException {}

        public void addConfigEntry(String key, String value) throws OrtException {}

        public void addNnapi() throws OrtException {
            throw new OrtException("there is no NNAPI here");
        }

        @Override
        public void close() {}
    }

    public static class Result implements AutoCloseable {
        private final String[] names;
        private final ByteBuffer[] answers;

        Result(String[] names, ByteBuffer[] answers) {
            this.names = names;
            this.answers = answers;
        }

        public OnnxValue get(int index) {
            return new OnnxTensor(answers[index]);
        }

        public Optional<OnnxValue> get(String key) {
            int index = Arrays.asList(names).indexOf(key);
            return index < 0 ? Optional.<OnnxValue>empty() : Optional.of(get(index));
        }

        @Override
        public void close() {}
    }
}
