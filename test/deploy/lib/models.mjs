// SPDX-License-Identifier: MIT
//
// Objects against models of their kinds, in two ways. TypeScript's compiler sees each as a
// literal of its kind's type, and so finds fields that nobody knows, wrong types and missing
// fields; the models' own validate() finds what types do not say: formats, enums, patterns.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

const HERE = fileURLToPath(new URL('../', import.meta.url));
const OWN = '../types/own.js';

// apiVersion to module; a group with a dot has a folder of its name.
const PACKAGES = {
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api/',
  'keda.sh': '@kubernetes-models/keda/',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator/',
};

// What no package has: see types/own.d.ts.
const isOwn = ({ kind, spec }) => kind === 'BackendConfig' ||
  (kind === 'HTTPRoute' && spec.rules.some((rule) => rule.sessionPersistence?.cookie));

const moduleOf = (object) => (isOwn(object)
  ? OWN
  : `${PACKAGES[object.apiVersion.split('/')[0]] ?? 'kubernetes-models/'}${object.apiVersion}`);

const OPTIONS = {
  noEmit: true, strict: true, skipLibCheck: true, types: [], lib: ['lib.es2022.d.ts'],
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
};

const sourceOf = (objects) => objects.map((object, i) =>
  `import type { I${object.kind} as T${i} } from ${JSON.stringify(moduleOf(object))};\n` +
  `export const o${i}: T${i} = ${JSON.stringify(object, null, 1)};\n`).join('');

// renderings: { name: [object] }. Returns [complaint].
export function typeErrors(renderings) {
  const files = new Map(Object.entries(renderings).map(
    ([name, objects], i) => [join(HERE, 'lib', `rendering-${i}.ts`), { name, text: sourceOf(objects) }]));
  const host = ts.createCompilerHost(OPTIONS);
  const { getSourceFile, fileExists, readFile } = host;
  host.getCurrentDirectory = () => HERE;
  host.getSourceFile = (file, ...rest) => (files.has(file)
    ? ts.createSourceFile(file, files.get(file).text, OPTIONS.target)
    : getSourceFile.call(host, file, ...rest));
  host.fileExists = (file) => files.has(file) || fileExists.call(host, file);
  host.readFile = (file) => files.get(file)?.text ?? readFile.call(host, file);
  const program = ts.createProgram([...files.keys()], OPTIONS, host);
  return ts.getPreEmitDiagnostics(program).map((d) => {
    const file = files.get(d.file?.fileName);
    const { line } = d.file?.getLineAndCharacterOfPosition(d.start) ?? {};
    const text = ts.flattenDiagnosticMessageText(d.messageText, '\n  ');
    return file ? `${file.name}: ${text}\n  ${file.text.split('\n')[line].trim()}` : text;
  });
}

// Throws if a model complains.
export async function validate(object) {
  if (isOwn(object)) return;
  const { [object.kind]: Model } = await import(moduleOf(object));
  new Model(object).validate();
}
