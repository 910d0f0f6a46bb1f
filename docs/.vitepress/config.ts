import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type DefaultTheme, defineConfig } from 'vitepress';

// The site shows the Markdown files of the repository unchanged: `npm run docs:site` builds it into state/site.

const ROOT = join(import.meta.dirname, '../..');
const VERSION = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;

/** The other Markdown files become pages. */
const EXCLUDED = ['node_modules/**', 'state/**', 'dist/**', 'src/**', 'test/**', 'scripts/**', 'bench/**'];

const SECTIONS = [
  ['tutorials', 'Tutorials'],
  ['how-to', 'How-to guides'],
  ['reference', 'Reference'],
  ['explanation', 'Explanation'],
  ['adr', 'Decisions'],
] as const;

function title(path: string): string {
  const heading = /^# (.+)$/m.exec(readFileSync(join(ROOT, path), 'utf8'))?.[1];
  if (heading === undefined) throw new Error(`${path} has no heading`);
  return heading.replaceAll('`', '');
}

function item(path: string): DefaultTheme.SidebarItem {
  return { text: title(path), link: `/${path.replace(/(?:README)?\.md$/, '')}` };
}

function sidebar(): DefaultTheme.SidebarItem[] {
  const sections = SECTIONS.map(([folder, text]) => {
    const names = readdirSync(join(ROOT, 'docs', folder)).filter(
      (name) => name.endsWith('.md') && name !== 'README.md',
    );
    return { text, collapsed: true, items: names.sort().map((name) => item(`docs/${folder}/${name}`)) };
  });
  const pages = readdirSync(join(ROOT, 'docs')).filter(
    (name) => name.endsWith('.md') && name !== 'README.md',
  );
  const project = [
    'deploy/README.md',
    'deploy/chart/README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
  ];
  return [
    { text: 'Start', items: [{ text: 'What secretbridge is', link: '/' }, item('docs/README.md')] },
    ...sections,
    {
      text: 'More',
      collapsed: true,
      items: [...pages.sort().map((name) => `docs/${name}`), ...project].map(item),
    },
  ];
}

/** Whether a link of a page leads to a file that is no page, such as a test. Such links become plain text. */
function isSourceLink(href: string, page: string): boolean {
  if (/^(?:[a-z]+:|#|\/)/.test(href)) return false;
  const path = join(dirname(page), href.replace(/[?#].*$/, ''));
  return !/\.(?:md|png|svg)$/.test(path) && existsSync(path);
}

interface Token {
  type: string;
  nesting: number;
  content: string;
  attrGet(name: string): string | null;
  attrSet(name: string, value: string): void;
}

function unlinkSources(tokens: readonly Token[], page: string): void {
  let isOpen = false;
  for (const token of tokens) {
    const begins = token.type === 'link_open' && isSourceLink(token.attrGet('href') ?? '', page);
    const ends = isOpen && token.type === 'link_close';
    if (begins || ends) Object.assign(token, { type: 'text', nesting: 0 });
    isOpen = begins || (isOpen && !ends);
  }
}

/** A README becomes the index of its folder. */
function renameReadme(token: Token): void {
  const href = token.type === 'link_open' ? token.attrGet('href') : null;
  if (href !== null && !/^[a-z]+:/.test(href))
    token.attrSet('href', href.replace(/README\.md(?=$|#)/, 'index.md'));
}

/** The anchors that GitHub makes, so that a link works in both places. */
function slugify(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

export default defineConfig({
  title: 'secretbridge',
  description:
    'Keeps Kubernetes Secrets in sync with HashiCorp Vault, AWS Secrets Manager and Azure Key Vault.',
  srcDir: '..',
  srcExclude: EXCLUDED,
  outDir: '../state/site',
  cacheDir: '../node_modules/.cache/vitepress',
  rewrites: (id) => id.replace(/(^|\/)README\.md$/, '$1index.md'),
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'First sync', link: '/docs/tutorials/first-sync' },
      { text: 'Guides', link: '/docs/' },
      { text: 'Configuration', link: '/docs/reference/configuration' },
      { text: 'Troubleshooting', link: '/docs/how-to/troubleshooting' },
      { text: `v${VERSION}`, link: '/CHANGELOG' },
    ],
    sidebar: sidebar(),
    outline: [2, 3],
  },
  markdown: {
    anchor: { slugify },
    config: (md) => {
      // The documents use no HTML, and `<name>` is a placeholder.
      const text = (tokens: readonly Token[], index: number): string => {
        const { content } = tokens[index] ?? { content: '' };
        return content.startsWith('<!--') ? content : md.utils.escapeHtml(content);
      };
      Object.assign(md.renderer.rules, { html_inline: text, html_block: text });
      md.core.ruler.push('source_links', ({ tokens, env }) => {
        for (const { children } of tokens) {
          unlinkSources(children ?? [], (env as { path: string }).path);
          for (const token of children ?? []) renameReadme(token);
          // Vue would evaluate `{{ name }}` in code spans.
          for (const token of children ?? []) if (token.type === 'code_inline') token.attrSet('v-pre', '');
        }
      });
    },
  },
});
