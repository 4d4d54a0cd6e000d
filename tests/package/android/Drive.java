import android.content.Context;
import android.graphics.Bitmap;
import java.io.File;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * Does with bundles what an app would do: `java Drive JOB.json RESULT.json`. A job is a list of
 * bundles with their class, assets and questions; a result has what came of each, or the error.
 */
public final class Drive {
    public static void main(String[] arguments) throws Exception {
        JSONArray jobs = new JSONArray(read(arguments[0]));
        JSONArray results = new JSONArray();
        for (int number = 0; number < jobs.length(); number++) {
            JSONObject result = new JSONObject();
            try {
                bundle(jobs.getJSONObject(number), result);
            } catch (InvocationTargetException error) {
                result.put("error", error.getCause().getClass().getSimpleName());
                result.put("message", error.getCause().getMessage());
            }
            results.put(result);
        }
        Files.write(
                new File(arguments[1]).toPath(), results.toString().getBytes(StandardCharsets.UTF_8));
    }

    private static String read(String path) throws Exception {
        return new String(Files.readAllBytes(new File(path).toPath()), StandardCharsets.UTF_8);
    }

    private static void bundle(JSONObject job, JSONObject result) throws Exception {
        Class<?> type = Class.forName(job.getString("class"));
        Context context =
                new Context(new File(job.getString("assets")), job.optBoolean("compressed"));
        Object model = create(type, context, job.optString("accelerator", "CPU"));
        try {
            result.put("golden", type.getMethod("selfCheck").invoke(model));
            JSONArray answers = new JSONArray();
            JSONArray asked = job.getJSONArray("asked");
            for (int number = 0; number < asked.length(); number++) {
                answers.put(ask(model, asked.getJSONObject(number)));
            }
            result.put("answers", answers);
            if (job.has("threads")) {
                result.put("shared", shared(model, job.getInt("threads")));
            }
        } finally {
            type.getMethod("close").invoke(model);
            type.getMethod("close").invoke(model); // twice is allowed
        }
        if (job.optBoolean("after_close")) {
            type.getMethod("selfCheck").invoke(model);
        }
    }

    private static Object create(Class<?> type, Context context, String accelerator)
            throws Exception {
        if (accelerator.equals("CPU")) {
            return type.getMethod("create", Context.class).invoke(null, context);
        }
        String home = type.getName().substring(0, type.getName().lastIndexOf('.') + 1);
        Class<?> chosen = Class.forName(home + "Accelerator");
        Class<?> options = Class.forName(home + "Options");
        Object given = options.getConstructor().newInstance();
        given = options.getMethod("threads", int.class).invoke(given, 2);
        Object which = chosen.getMethod("valueOf", String.class).invoke(null, accelerator);
        given = options.getMethod("accelerator", chosen).invoke(given, which);
        return type.getMethod("create", Context.class, options).invoke(null, context, given);
    }

    private static JSONObject ask(Object model, JSONObject question) throws Exception {
        JSONObject found = new JSONObject();
        try {
            String name = question.getString("asks");
            Object given = given(question);
            Method method = method(model.getClass(), name, given);
            found.put("answer", plain(method.invoke(model, given)));
            Field field = model.getClass().getDeclaredField("reader");
            field.setAccessible(true);
            Object reader = field.get(model);
            Method raw = method(reader.getClass(), "raw", given);
            raw.setAccessible(true);
            Object sample = raw.invoke(reader, given);
            Object tensors = model.getClass().getMethod("getModel").invoke(model);
            byte[][] made =
                    (byte[][])
                            tensors.getClass()
                                    .getMethod("prepare", float[][].class)
                                    .invoke(tensors, sample);
            JSONArray bytes = new JSONArray();
            for (byte[] each : made) {
                bytes.put(Base64.getEncoder().encodeToString(each));
            }
            found.put("prepared", bytes);
            float[] outputs =
                    (float[])
                            tensors.getClass()
                                    .getMethod("run", float[][].class)
                                    .invoke(tensors, sample);
            JSONArray numbers = new JSONArray();
            for (float each : outputs) {
                numbers.put((double) each);
            }
            found.put("outputs", numbers);
        } catch (InvocationTargetException error) {
            found.put("error", error.getCause().getClass().getSimpleName());
            found.put("message", error.getCause().getMessage());
        }
        return found;
    }

    private static Method method(Class<?> type, String name, Object given) {
        for (Method each : type.getDeclaredMethods()) {
            Class<?>[] takes = each.getParameterTypes();
            if (each.getName().equals(name) && takes.length == 1 && takes[0].isInstance(given)) {
                return each;
            }
        }
        throw new IllegalArgumentException(type + " has no " + name + " for " + given.getClass());
    }

    private static Object plain(Object answer) throws Exception {
        if (answer instanceof Map) {
            return new JSONObject((Map<?, ?>) answer);
        }
        if (!(answer instanceof List)) {
            return answer;
        }
        JSONArray found = new JSONArray();
        for (Object each : (List<?>) answer) {
            JSONObject one = new JSONObject();
            one.put("label", each.getClass().getMethod("getLabel").invoke(each));
            one.put("score", each.getClass().getMethod("getScore").invoke(each));
            found.put(one);
        }
        return found;
    }

    private static Object given(JSONObject question) throws Exception {
        if (question.has("argb")) {
            int[] argb = new int[question.getJSONArray("argb").length()];
            for (int at = 0; at < argb.length; at++) {
                argb[at] = (int) question.getJSONArray("argb").getLong(at);
            }
            int width = question.getInt("width");
            return Bitmap.createBitmap(
                    argb, width, argb.length / width, Bitmap.Config.ARGB_8888);
        }
        if (question.has("window")) {
            JSONArray channels = question.getJSONArray("window");
            float[][] window = new float[channels.length()][];
            for (int channel = 0; channel < window.length; channel++) {
                window[channel] = floats(channels.getJSONArray(channel));
            }
            return window;
        }
        if (question.has("values")) {
            Map<String, Object> values = new HashMap<>();
            JSONObject told = question.getJSONObject("values");
            for (Iterator<?> names = told.keys(); names.hasNext(); ) {
                String name = (String) names.next();
                values.put(name, floats(told.getJSONArray(name)));
            }
            return values;
        }
        if (question.has("row")) {
            Map<String, Object> row = new HashMap<>();
            JSONObject told = question.getJSONObject("row");
            for (Iterator<?> names = told.keys(); names.hasNext(); ) {
                String name = (String) names.next();
                row.put(name, told.isNull(name) ? null : told.get(name));
            }
            return row;
        }
        if (question.has("pcm")) {
            float[] wide = floats(question.getJSONArray("pcm"));
            short[] samples = new short[wide.length];
            for (int at = 0; at < samples.length; at++) {
                samples[at] = (short) wide[at];
            }
            return samples;
        }
        return floats(question.getJSONArray("samples"));
    }

    private static float[] floats(JSONArray told) throws Exception {
        float[] found = new float[told.length()];
        for (int at = 0; at < found.length; at++) {
            found[at] = (float) told.getDouble(at);
        }
        return found;
    }

    /** How often the golden samples were right, asked by several threads at once. */
    private static int shared(final Object model, int threads) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            Callable<Integer> check =
                    new Callable<Integer>() {
                        @Override
                        public Integer call() throws Exception {
                            return (Integer) model.getClass().getMethod("selfCheck").invoke(model);
                        }
                    };
            int sum = 0;
            for (java.util.concurrent.Future<Integer> each :
                    pool.invokeAll(Collections.nCopies(threads, check))) {
                sum += each.get();
            }
            return sum;
        } finally {
            pool.shutdown();
        }
    }
}
