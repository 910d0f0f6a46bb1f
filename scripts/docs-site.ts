// npm run docs:site [-- --serve]: builds the documentation site into state/site.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build, serve } from 'vitepress';

const DOCS = join(import.meta.dirname, '../docs');
const PORT = 4173;

const { values } = parseArgs({ options: { serve: { type: 'boolean', default: false } } });
await build(DOCS);
console.log('The site is in state/site.');
if (values.serve) await serve({ root: DOCS, port: PORT });
