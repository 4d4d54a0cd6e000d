package edgekd.bundle;

import org.json.JSONException;
import org.json.JSONObject;

/** What turns an app's values into raw samples. */
interface Reader {
    /**
     * A golden sample that is not told as raw numbers: a table's row, or `made_up`, the number of
     * one that every language can make; docs/package.md has the formulas.
     */
    float[][] golden(JSONObject sample) throws JSONException;
}
