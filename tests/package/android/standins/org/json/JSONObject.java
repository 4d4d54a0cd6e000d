package org.json;

import java.util.Iterator;

/** Signatures only: tests run with Debian's build of Android's own org.json. */
public class JSONObject {
    public JSONObject(String json) throws JSONException {
        throw new JSONException("a stand-in");
    }

    public native boolean isNull(String name);

    public native boolean has(String name);

    public native Iterator<String> keys();

    public native Object get(String name) throws JSONException;

    public native int getInt(String name) throws JSONException;

    public native double getDouble(String name) throws JSONException;

    public native String getString(String name) throws JSONException;

    public native JSONArray getJSONArray(String name) throws JSONException;

    public native JSONObject getJSONObject(String name) throws JSONException;

    public native JSONObject optJSONObject(String name);
}
