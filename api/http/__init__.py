"""HTTP below the routes: limits, middleware, the connection, content with validators."""
