package edgekd.bundle;

import java.util.Map;
import org.json.JSONObject;

/** Several inputs that are raw samples already, by name. */
final class Several implements Reader {
    private final Spec.Input[] inputs;

    Several(Spec spec) {
        inputs = spec.inputs;
    }

    float[][] raw(Map<String, float[]> values) {
        float[][] found = new float[inputs.length][];
        for (int number = 0; number < inputs.length; number++) {
            found[number] = values.get(inputs[number].name);
            if (found[number] == null) {
                throw new ModelException("The input " + inputs[number].name + " is missing.");
            }
        }
        return found;
    }

    @Override
    public float[][] golden(JSONObject sample) {
        throw new ModelException("Several inputs have no made-up samples: package again.");
    }
}
