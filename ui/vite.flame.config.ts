import { defineConfig, type Plugin } from 'vite';

/** Puts scripts and styles into the page itself: one file that asks for nothing. */
function inline(): Plugin {
  return {
    name: 'inline',
    enforce: 'post',
    generateBundle(_, bundle) {
      const page = bundle['flame.html'];
      if (page?.type !== 'asset') throw new Error('flame.html was not built');
      let html = String(page.source);
      for (const [name, item] of Object.entries(bundle)) {
        if (item === page) continue;
        delete bundle[name];
        const text = item.type === 'chunk' ? item.code : String(item.source);
        const tag =
          item.type === 'chunk' ? /<script[^>]*src="[^"]*"[^>]*><\/script>/ : /<link[^>]*stylesheet[^>]*>/;
        if (!tag.test(html)) throw new Error(`${name} has no place in flame.html`);
        const safe = text.replace(/<\/(script|style)/gi, '<\\/$1');
        // Styles go to the head, the script behind what it reads.
        html = html.replace(tag, '');
        html =
          item.type === 'chunk'
            ? html.replace('</body>', () => `<script type="module">${safe}</script></body>`)
            : html.replace('</head>', () => `<style>${safe}</style></head>`);
      }
      page.source = html;
    },
  };
}

// The page of `strobe flame --html`.
export default defineConfig({
  base: './',
  plugins: [inline()],
  build: {
    target: 'es2022',
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
    rollupOptions: { input: 'flame.html' },
  },
});
