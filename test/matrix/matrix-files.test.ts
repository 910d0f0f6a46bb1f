import { FILES } from './kinds/files.ts';
import { describeMatrix } from './matrix-suite.ts';

describeMatrix(FILES);
