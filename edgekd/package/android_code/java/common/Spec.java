package edgekd.bundle;

import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** spec.json: what the model takes and gives. docs/package.md tells its fields. */
final class Spec {
    /** The version of spec.json that this code reads. */
    private static final int FORMAT = 1;

    final String model;
    final String task;
    final String[] labels;
    final double[] targetMean;
    final double[] targetStd;
    final Input[] inputs;
    final String output;
    /** Of int8 answers, else null. */
    final Scale outputScale;

    private Spec(JSONObject told) throws JSONException {
        int format = told.getInt("format_version");
        if (format != FORMAT) {
            throw new ModelException(
                    "This library reads spec.json of format " + FORMAT + ", and it has " + format
                            + ". Package the model again.");
        }
        model = told.getString("model");
        task = told.getString("task");
        labels = strings(told.getJSONArray("labels"));
        targetMean = numbers(told.getJSONArray("target_mean"));
        targetStd = numbers(told.getJSONArray("target_std"));
        JSONArray several = told.getJSONArray("inputs");
        inputs = new Input[several.length()];
        for (int number = 0; number < inputs.length; number++) {
            inputs[number] = new Input(several.getJSONObject(number));
        }
        JSONObject answer = told.getJSONObject("output");
        output = answer.getString("name");
        outputScale = Scale.of(answer);
    }

    static Spec parse(String json) {
        try {
            return new Spec(new JSONObject(json));
        } catch (JSONException error) {
            throw new ModelException("spec.json lacks a field: package the model again.", error);
        }
    }

    /** real = scale * (integer - zeroPoint). */
    static final class Scale {
        final float scale;
        final int zeroPoint;

        Scale(JSONObject told) throws JSONException {
            scale = (float) told.getDouble("scale");
            zeroPoint = told.getInt("zero_point");
        }

        static Scale of(JSONObject end) throws JSONException {
            JSONObject told = end.optJSONObject("quantization");
            return told == null ? null : new Scale(told);
        }
    }

    /** One input: `shape` leaves the batch out and has the channels first. */
    static final class Input {
        final String name;
        final int[] shape;
        /** Whether the file has an image's channels last. */
        final boolean channelsLast;
        final boolean codes;
        /** Of an int8 input, else null. */
        final Scale scale;
        final float[] mean;
        final float[] std;
        /** The largest raw value of an image; 0 where it is not known. */
        final double peak;
        final JSONObject sound;
        final String[] columns;
        final String[][] vocabulary;

        Input(JSONObject told) throws JSONException {
            name = told.getString("name");
            shape = whole(told.getJSONArray("shape"));
            channelsLast = shape.length == 3 && told.getString("layout").equals("NHWC");
            codes = told.getString("kind").equals("codes");
            scale = Scale.of(told);
            mean = floats(numbers(told.getJSONArray("mean")));
            std = floats(numbers(told.getJSONArray("std")));
            peak = told.isNull("peak") ? 0 : told.getDouble("peak");
            sound = told.optJSONObject("sound");
            columns = strings(told.getJSONArray("columns"));
            JSONArray words = told.getJSONArray("vocabulary");
            vocabulary = new String[words.length()][];
            for (int column = 0; column < vocabulary.length; column++) {
                vocabulary[column] = strings(words.getJSONArray(column));
            }
        }

        /** With the batch, as the file has it. */
        long[] fileShape() {
            long[] found = new long[shape.length + 1];
            found[0] = 1;
            for (int axis = 0; axis < shape.length; axis++) {
                found[axis + 1] = shape[channelsLast ? (axis + 1) % shape.length : axis];
            }
            return found;
        }

        int size() {
            int size = 1;
            for (int each : shape) {
                size *= each;
            }
            return size;
        }
    }

    private static String[] strings(JSONArray told) throws JSONException {
        String[] found = new String[told.length()];
        for (int each = 0; each < found.length; each++) {
            found[each] = told.getString(each);
        }
        return found;
    }

    static double[] numbers(JSONArray told) throws JSONException {
        double[] found = new double[told.length()];
        for (int each = 0; each < found.length; each++) {
            found[each] = told.getDouble(each);
        }
        return found;
    }

    private static float[] floats(double[] numbers) {
        float[] found = new float[numbers.length];
        for (int each = 0; each < found.length; each++) {
            found[each] = (float) numbers[each];
        }
        return found;
    }

    private static int[] whole(JSONArray told) throws JSONException {
        int[] found = new int[told.length()];
        for (int each = 0; each < found.length; each++) {
            found[each] = told.getInt(each);
        }
        return found;
    }
}
