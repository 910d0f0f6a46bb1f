import { AWS } from './kinds/aws.ts';
import { describeMatrix } from './matrix-suite.ts';

describeMatrix(AWS);
