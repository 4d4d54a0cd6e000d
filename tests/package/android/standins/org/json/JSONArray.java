package org.json;

public class JSONArray {
    private JSONArray() {}

    public native int length();

    public native int getInt(int index) throws JSONException;

    public native double getDouble(int index) throws JSONException;

    public native String getString(int index) throws JSONException;

    public native JSONArray getJSONArray(int index) throws JSONException;

    public native JSONObject getJSONObject(int index) throws JSONException;
}
