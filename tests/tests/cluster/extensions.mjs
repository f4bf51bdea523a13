// Validates objects of extensions against the schemas of their CustomResourceDefinitions, as the packages
// @kubernetes-models/* carry them. Arguments: the folder of the packages, then files of one JSON document to a line.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [modules, ...files] = process.argv.slice(2);
const packages = {
  "cert-manager.io": "cert-manager",
  "monitoring.coreos.com": "prometheus-operator",
  "external-secrets.io": "external-secrets",
  "gateway.networking.k8s.io": "gateway-api",
};

let count = 0;
for (const file of files) {
  for (const line of fs.readFileSync(file, "utf8").split("\n")) {
    if (!line.startsWith("{")) continue;
    const object = JSON.parse(line);
    const [group, version] = object.apiVersion.split("/");
    const place = `${path.basename(file)}: ${object.kind} ${object.metadata.name}`;
    let model;
    try {
      const name = `@kubernetes-models/${packages[group]}/${group}/${version}/${object.kind}.js`;
      const module = await import(pathToFileURL(path.resolve(modules, name)));
      model = module[object.kind];
    } catch (error) {
      console.error(`${place}: no schema: ${error.message}`);
      process.exitCode = 1;
      continue;
    }
    try {
      new model(object).validate();
      count += 1;
    } catch (error) {
      console.error(`${place}: ${error.message}`);
      process.exitCode = 1;
    }
  }
}
console.log(`${count} objects fit`);
