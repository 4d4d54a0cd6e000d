package edgekd.bundle;

import android.util.Base64;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** golden.json: samples, the inputs that must be made of them, and what must be answered. */
final class Golden {
    private final Model model;
    private final Reader reader;
    private final JSONObject told;
    private final JSONArray samples;

    Golden(Model model, Reader reader) {
        this.model = model;
        this.reader = reader;
        try {
            told = new JSONObject(Assets.text(model.assets.verified("golden.json")));
            samples = told.getJSONArray("samples");
        } catch (JSONException error) {
            throw broken(error);
        }
    }

    /** The number of samples; throws where one is not as it should be. */
    int check() {
        try {
            double tolerance = told.getDouble("tolerance");
            for (int number = 0; number < samples.length(); number++) {
                compare(samples.getJSONObject(number), tolerance, "Golden sample " + number);
            }
            return samples.length();
        } catch (JSONException error) {
            throw broken(error);
        }
    }

    /** The raw numbers of a sample. */
    float[][] sample(int number) {
        try {
            return raw(samples.getJSONObject(number));
        } catch (JSONException error) {
            throw broken(error);
        }
    }

    private static ModelException broken(JSONException error) {
        return new ModelException("golden.json lacks a field: package the model again.", error);
    }

    private void compare(JSONObject sample, double tolerance, String where) throws JSONException {
        float[][] raw = raw(sample);
        JSONObject wanted = sample.getJSONObject("inputs");
        byte[][] made = model.prepare(raw);
        for (int number = 0; number < made.length; number++) {
            String name = model.spec.inputs[number].name;
            if (!Assets.sha256(ByteBuffer.wrap(made[number])).equals(wanted.getString(name))) {
                throw new ModelException(where + ": the input " + name + " is another.");
            }
        }
        double[] answer = Spec.numbers(sample.getJSONArray("output"));
        float[] given = model.tensor(raw);
        double largest = answer.length == given.length ? 0 : Double.POSITIVE_INFINITY;
        for (int each = 0; each < Math.min(answer.length, given.length); each++) {
            largest = Math.max(largest, Math.abs(answer[each] - given[each]));
        }
        if (!(largest <= tolerance)) {
            throw new ModelException(
                    where + ": an output differs by " + largest + ", and " + tolerance
                            + " is allowed.");
        }
    }

    private float[][] raw(JSONObject sample) throws JSONException {
        if (!sample.has("raw")) {
            return reader.golden(sample);
        }
        Spec.Input[] inputs = model.spec.inputs;
        float[][] found = new float[inputs.length][];
        for (int number = 0; number < inputs.length; number++) {
            found[number] = array(sample.getJSONObject("raw").getJSONObject(inputs[number].name));
        }
        return found;
    }

    private static float[] array(JSONObject told) throws JSONException {
        byte[] content = Base64.decode(told.getString("base64"), Base64.DEFAULT);
        ByteBuffer bytes = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN);
        String dtype = told.getString("dtype");
        float[] found = new float[dtype.equals("uint8") ? content.length : content.length / 4];
        for (int at = 0; at < found.length; at++) {
            if (dtype.equals("uint8")) {
                found[at] = bytes.get() & 255;
            } else {
                found[at] = dtype.equals("int32") ? bytes.getInt() : bytes.getFloat();
            }
        }
        return found;
    }

    /** ((number + 1) i^2 + 7 i + 101 number) mod 256, for i from 0. */
    static int[] pattern(int count, int number) {
        int[] found = new int[count];
        for (int at = 0; at < count; at++) {
            long i = at;
            found[at] = (int) (((number + 1) * i * i + 7 * i + 101L * number) % 256);
        }
        return found;
    }

    /** The pattern as raw numbers. */
    static float[][] numbers(int count, int number) {
        float[] found = new float[count];
        int[] values = pattern(count, number);
        for (int at = 0; at < count; at++) {
            found[at] = values[at];
        }
        return new float[][] {found};
    }
}
