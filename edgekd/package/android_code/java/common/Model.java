package edgekd.bundle;

import android.content.Context;
import java.io.Closeable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A model, loaded: raw numbers in, outputs out. What the class of the bundle is made of; use it
 * directly to feed and read tensors yourself. Thread-safe: calls wait for each other.
 */
public final class Model implements Closeable {
    final Assets assets;
    final Spec spec;
    private final ByteBuffer[] inputs;
    private final ByteBuffer output;
    private Engine engine;

    private Model(Assets assets, Spec spec, Engine engine) {
        this.assets = assets;
        this.spec = spec;
        this.engine = engine;
        inputs = new ByteBuffer[spec.inputs.length];
        for (int number = 0; number < inputs.length; number++) {
            inputs[number] = Feed.buffer(spec.inputs[number]);
        }
        int size = spec.labels.length * (spec.outputScale != null ? 1 : 4);
        output = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
    }

    /**
     * @param folder the bundle's folder among the app's assets.
     * @param sha256 of its manifest.json, which has those of the other files.
     */
    static Model open(Context context, String folder, String sha256, Options options) {
        Assets assets = new Assets(context.getAssets(), folder, sha256);
        Spec spec = Spec.parse(Assets.text(assets.verified("spec.json")));
        String path = folder + "/" + spec.model;
        ByteBuffer file = assets.verified(spec.model);
        try {
            return new Model(assets, spec, Engines.open(context, path, file, spec, options));
        } catch (ModelException error) {
            throw error;
        } catch (Exception error) {
            throw new ModelException(
                    "The runtime cannot load " + path + " on " + options.accelerator + ": "
                            + error + ". The processor (CPU) runs every model; if it"
                            + " fails there, check the runtime's version among the app's"
                            + " dependencies.",
                    error);
        }
    }

    /**
     * The outputs of one sample: logits, or a regression's standardised numbers.
     *
     * @param raw an array an input, in the spec's order: numbers in the training data's units,
     *     channels first.
     */
    public float[] run(float[]... raw) {
        float[] found = tensor(raw);
        Spec.Scale scale = spec.outputScale;
        for (int each = 0; each < found.length && scale != null; each++) {
            found[each] = (found[each] - scale.zeroPoint) * scale.scale;
        }
        return found;
    }

    /** The numbers of the output tensor: of an int8 file, its integers. */
    synchronized float[] tensor(float[][] raw) {
        fill(raw);
        if (engine == null) {
            throw new IllegalStateException("This model is closed.");
        }
        try {
            output.rewind();
            engine.run(inputs, output);
        } catch (Exception error) {
            throw new ModelException("The runtime failed: " + error, error);
        }
        output.rewind();
        float[] found = new float[spec.labels.length];
        for (int each = 0; each < found.length; each++) {
            found[each] = spec.outputScale == null ? output.getFloat() : output.get();
        }
        return found;
    }

    /** The bytes that the file gets for one sample, an array an input: what golden samples tell. */
    public synchronized byte[][] prepare(float[]... raw) {
        fill(raw);
        byte[][] found = new byte[inputs.length][];
        for (int number = 0; number < inputs.length; number++) {
            found[number] = Assets.bytes(inputs[number]);
        }
        return found;
    }

    /** The names of the inputs, in their order. */
    public String[] inputNames() {
        String[] found = new String[spec.inputs.length];
        for (int number = 0; number < found.length; number++) {
            found[number] = spec.inputs[number].name;
        }
        return found;
    }

    private void fill(float[][] raw) {
        if (raw.length != inputs.length) {
            throw new ModelException(
                    "The model has " + inputs.length + " inputs, and " + raw.length + " came.");
        }
        for (int number = 0; number < inputs.length; number++) {
            Feed.fill(inputs[number], raw[number], spec.inputs[number]);
        }
    }

    /** Frees the runtime's memory; a second time does nothing. */
    @Override
    public synchronized void close() {
        Engine open = engine;
        engine = null;
        if (open == null) {
            return;
        }
        try {
            open.close();
        } catch (Exception error) {
            throw new ModelException("The runtime cannot be closed.", error);
        }
    }
}
