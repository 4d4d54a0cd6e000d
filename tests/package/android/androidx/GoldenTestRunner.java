import java.lang.reflect.Method;

/** Runs the methods that are tests: `java GoldenTestRunner CLASS ASSETS`. */
public final class GoldenTestRunner {
    public static void main(String[] arguments) throws Exception {
        System.setProperty("assets", arguments[1]);
        Class<?> type = Class.forName(arguments[0]);
        int count = 0;
        for (Method each : type.getMethods()) {
            if (each.isAnnotationPresent(org.junit.Test.class)) {
                each.invoke(type.getConstructor().newInstance());
                count++;
            }
        }
        System.out.println("ran " + count);
    }
}
