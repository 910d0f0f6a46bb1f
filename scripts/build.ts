import { join } from 'node:path';
import { build } from './build/build.ts';

const ROOT = join(import.meta.dirname, '..');
process.exit((await build(ROOT, join(ROOT, 'dist'))) ? 0 : 1);
