import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
  // Tests have no browser, and mean what runs in one.
  ...(process.env['VITEST'] ? { resolve: { conditions: ['browser'] } } : {}),
  build: {
    target: 'es2024',
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: ['index.html', 'terminal.html'],
      // What every page has is one file: the dozen small ones that come of it otherwise are 2 KB more, packed.
      output: { codeSplitting: { groups: [{ name: 'shared', test: /\/src\/(parts|api|texts|route)|\/node_modules\/(svelte|clsx|esm-env)\//, minShareCount: 2 }] } },
    },
  },
  // Properties are tried some hundred times: the limit is for what hangs, not for a machine that has more to do.
  test: { include: ['src/**/*.test.ts'], pool: 'threads', testTimeout: 120_000 },
})
