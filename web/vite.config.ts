import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    target: "es2023",
    // Every asset is a file of its own, so that the page needs no exception in its policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
  },
  server: {
    host: "127.0.0.1",
    // For work on the page: `wsi serve` answers the API.
    proxy: { "/v1": "http://127.0.0.1:8000" },
  },
  test: {
    include: ["tests/**/*.test.ts"],
    environment: "happy-dom",
  },
});
