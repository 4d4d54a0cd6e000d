package edgekd.bundle;

import org.json.JSONException;
import org.json.JSONObject;

/** Windows of a signal as raw samples. */
final class Windows implements Reader {
    private final int channels;
    private final int steps;

    Windows(Spec spec) {
        channels = spec.inputs[0].shape[0];
        steps = spec.inputs[0].shape[1];
    }

    /** @param window the channels in the order of training, each with its steps in time. */
    float[][] raw(float[][] window) {
        float[] found = new float[channels * steps];
        for (int channel = 0; channel < channels; channel++) {
            if (window.length != channels || window[channel].length != steps) {
                throw new ModelException(
                        "A window has " + channels + " channels of " + steps + " steps each.");
            }
            System.arraycopy(window[channel], 0, found, channel * steps, steps);
        }
        return new float[][] {found};
    }

    @Override
    public float[][] golden(JSONObject sample) throws JSONException {
        int number = sample.getInt("made_up");
        return Golden.numbers(channels * steps, number);
    }
}
