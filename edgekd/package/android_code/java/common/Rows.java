package edgekd.bundle;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.json.JSONException;
import org.json.JSONObject;

/** A table's row, column by column, as raw numbers and codes. */
final class Rows implements Reader {
    /** Texts that stand for no value, in lower case. */
    private static final Set<String> MISSING =
            new HashSet<>(Arrays.asList("", "na", "n/a", "nan", "null", "none", "?", "-"));

    private final Spec.Input[] inputs;
    private final Map<String, Map<String, Integer>> codes = new HashMap<>();

    Rows(Spec spec) {
        inputs = spec.inputs;
        for (Spec.Input part : inputs) {
            for (int number = 0; number < part.columns.length; number++) {
                if (part.codes) {
                    codes.put(part.columns[number], numbered(part.vocabulary[number]));
                }
            }
        }
    }

    private static Map<String, Integer> numbered(String[] words) {
        Map<String, Integer> found = new HashMap<>();
        for (int number = 0; number < words.length; number++) {
            found.put(words[number], number + 1);
        }
        return found;
    }

    /**
     * One array an input; a missing number is the mean, an unknown category code 0. Columns that
     * the model does not know are left out.
     */
    float[][] raw(Map<String, ?> row) {
        float[][] found = new float[inputs.length][];
        for (int input = 0; input < inputs.length; input++) {
            Spec.Input part = inputs[input];
            found[input] = new float[part.columns.length];
            for (int number = 0; number < part.columns.length; number++) {
                String name = part.columns[number];
                if (!row.containsKey(name)) {
                    throw new ModelException(
                            "The row lacks the column " + name
                                    + "; null says that it is not known.");
                }
                found[input][number] =
                        part.codes
                                ? code(name, codes.get(name), row.get(name))
                                : number(name, row.get(name), part.mean[number]);
            }
        }
        return found;
    }

    @Override
    public float[][] golden(JSONObject sample) throws JSONException {
        JSONObject told = sample.getJSONObject("row");
        Map<String, Object> row = new HashMap<>();
        for (Iterator<String> names = told.keys(); names.hasNext(); ) {
            String name = names.next();
            row.put(name, told.isNull(name) ? null : told.get(name));
        }
        return raw(row);
    }

    private static float code(String name, Map<String, Integer> words, Object value) {
        if (value == null) {
            return 0;
        }
        if (!(value instanceof String || value instanceof Integer || value instanceof Long)) {
            throw new ModelException(name + " is a text or a whole number, not " + value + ".");
        }
        Integer code = words.get(value.toString().trim());
        return code == null ? 0 : code;
    }

    private static float number(String name, Object value, float mean) {
        if (value == null || missing(value)) {
            return mean;
        }
        if (!(value instanceof Number)) {
            throw new ModelException(name + " is a number, not " + value + ".");
        }
        double number = ((Number) value).doubleValue();
        if (Math.abs(number) > Float.MAX_VALUE) {
            throw new ModelException(name + " is not finite.");
        }
        return Double.isNaN(number) ? mean : (float) number;
    }

    private static boolean missing(Object value) {
        return value instanceof String
                && MISSING.contains(((String) value).trim().toLowerCase(Locale.ROOT));
    }
}
