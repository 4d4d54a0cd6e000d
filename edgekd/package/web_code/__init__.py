"""What runs inside the web bundle: JavaScript, without a dependency but the runtime."""
