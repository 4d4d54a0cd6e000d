package edgekd.bundle;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/** A model in a session of ONNX Runtime. */
final class Session implements Engine {
    private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
    private final OrtSession.SessionOptions settings = new OrtSession.SessionOptions();
    private final OrtSession session;
    private final Spec spec;

    /** @param exact whether int8 products must not saturate on x86-64; see docs/export.md. */
    Session(byte[] file, Spec spec, Options options, boolean exact) throws OrtException {
        this.spec = spec;
        if (options.accelerator == Accelerator.GPU) {
            throw new ModelException(
                    "ONNX Runtime has no GPU on Android: take CPU or NPU, or package the TFLite"
                            + " file.");
        }
        boolean opened = false;
        try {
            settings.setIntraOpNumThreads(options.threads);
            settings.setInterOpNumThreads(1);
            settings.addConfigEntry("session.x64quantprecision", exact ? "1" : "0");
            if (options.accelerator == Accelerator.NPU) {
                settings.addNnapi();
            }
            session = environment.createSession(file, settings);
            opened = true;
        } finally {
            if (!opened) {
                settings.close();
            }
        }
    }

    @Override
    public void run(ByteBuffer[] inputs, ByteBuffer output) throws OrtException {
        Map<String, OnnxTensor> given = new LinkedHashMap<>();
        try {
            for (int number = 0; number < inputs.length; number++) {
                given.put(spec.inputs[number].name, tensor(inputs[number], spec.inputs[number]));
            }
            try (OrtSession.Result results = session.run(given)) {
                output.put(answer(results).getByteBuffer());
            }
        } finally {
            for (OnnxTensor each : given.values()) {
                each.close();
            }
        }
    }

    private OnnxTensor answer(OrtSession.Result results) {
        return (OnnxTensor) (results.get(spec.output).isPresent()
                ? results.get(spec.output).get()
                : results.get(0));
    }

    private OnnxTensor tensor(ByteBuffer input, Spec.Input part) throws OrtException {
        if (part.scale != null) {
            return OnnxTensor.createTensor(environment, input, part.fileShape(), OnnxJavaType.INT8);
        }
        if (part.codes) {
            return OnnxTensor.createTensor(environment, input.asIntBuffer(), part.fileShape());
        }
        return OnnxTensor.createTensor(environment, input.asFloatBuffer(), part.fileShape());
    }

    @Override
    public void close() throws OrtException {
        session.close();
        settings.close();
    }
}
