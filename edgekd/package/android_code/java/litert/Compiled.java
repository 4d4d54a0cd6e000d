package edgekd.bundle;

import android.content.res.AssetManager;
import com.google.ai.edge.litert.CompiledModel;
import com.google.ai.edge.litert.TensorBuffer;
import java.nio.ByteBuffer;
import java.util.List;

/** A model that LiteRT compiled for a GPU or NPU; what that cannot run stays on the processor. */
final class Compiled implements Engine {
    private final CompiledModel model;
    private final List<TensorBuffer> inputs;
    private final List<TensorBuffer> outputs;
    private final Spec spec;

    Compiled(AssetManager assets, String path, Spec spec, Options options) throws Exception {
        if (spec.inputs.length != 1) {
            throw new ModelException("A model with several inputs runs on the CPU only.");
        }
        this.spec = spec;
        com.google.ai.edge.litert.Accelerator chosen =
                options.accelerator == Accelerator.GPU
                        ? com.google.ai.edge.litert.Accelerator.GPU
                        : com.google.ai.edge.litert.Accelerator.NPU;
        model =
                CompiledModel.create(
                        assets,
                        path,
                        new CompiledModel.Options(
                                chosen, com.google.ai.edge.litert.Accelerator.CPU));
        inputs = model.createInputBuffers();
        outputs = model.createOutputBuffers();
    }

    @Override
    public void run(ByteBuffer[] given, ByteBuffer output) throws Exception {
        Spec.Input part = spec.inputs[0];
        if (part.scale != null) {
            inputs.get(0).writeInt8(Assets.bytes(given[0]));
        } else if (part.codes) {
            int[] codes = new int[part.size()];
            given[0].asIntBuffer().get(codes);
            inputs.get(0).writeInt(codes);
        } else {
            float[] numbers = new float[part.size()];
            given[0].asFloatBuffer().get(numbers);
            inputs.get(0).writeFloat(numbers);
        }
        model.run(inputs, outputs);
        if (spec.outputScale != null) {
            output.put(outputs.get(0).readInt8());
        } else {
            output.asFloatBuffer().put(outputs.get(0).readFloat());
        }
    }

    @Override
    public void close() {
        for (TensorBuffer each : inputs) {
            each.close();
        }
        for (TensorBuffer each : outputs) {
            each.close();
        }
        model.close();
    }
}
