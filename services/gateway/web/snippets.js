// Calls as code that runs as it stands. Pure: texts in, texts out.

/**
 * @typedef {{origin: string, grpcTarget: string, hasKey: boolean}} Place where the gateway is
 * @typedef {{curl: string, python: string, client: string}} Snippets
 */

const CURL_KEY = ' \\\n  -H "x-api-key: $SEQSERVE_API_KEY"';
const PYTHON_KEY = ', headers={"x-api-key": os.environ["SEQSERVE_API_KEY"]}';

/** @returns {Snippets} */
export function sketchSnippets(place, strokes) {
  const call = `classify_sketch(${python(strokes)}, top_k=5)`;
  return {
    ...jsonCall(place, "/v1/sketches:classify", { strokes, top_k: 5 }),
    client: clientCall(place, call, "answer.predictions"),
  };
}

/** @returns {Snippets} */
export function forecastSnippets(place, body) {
  const { start, values } = body.series[0];
  const options = `horizon=${body.horizon}, quantiles=${python(body.quantiles)}`;
  return {
    ...jsonCall(place, "/v1/series:forecast", body),
    client: clientCall(
      place,
      `forecast(${python(values)}, ${python(start)}, ${options})`,
      "answer.dates, answer.quantiles",
    ),
  };
}

/** @returns {Snippets} */
export function videoSnippets(place, fileName) {
  const url = `${place.origin}/v1/videos:classify`;
  const upload = `httpx.post("${url}", files={"file": file}${keyArgument(place)}, timeout=60)`;
  const part = `file=@"${fileName.replace(/[\\"]/g, "\\$&")}"`;
  const opened = `with open(${python(fileName)}, "rb") as file:`;
  return {
    curl: `curl ${quote(url)}${place.hasKey ? CURL_KEY : ""} \\\n  -F ${quote(part)}`,
    python: `${imports(place)}\n\n${opened}\n    answer = ${upload}\nprint(answer.json())\n`,
    client: clientCall(place, `classify_video(${python(fileName)}, top_k=5)`, "answer.predictions"),
  };
}

function jsonCall(place, path, body) {
  const url = place.origin + path;
  const head = `curl ${quote(url)} -H 'content-type: application/json'${place.hasKey ? CURL_KEY : ""}`;
  const post = `httpx.post("${url}", json=body${keyArgument(place)}, timeout=60)`;
  return {
    curl: `${head} \\\n  -d ${quote(JSON.stringify(body))}`,
    python: `${imports(place)}\n\nbody = ${python(body)}\nanswer = ${post}\nprint(answer.json())\n`,
  };
}

function clientCall(place, call, shown) {
  const secure = place.origin.startsWith("https:");
  const options = [
    ...(secure ? ["tls=Tls()"] : []),
    ...(place.hasKey ? ['api_key=os.environ["SEQSERVE_API_KEY"]'] : []),
  ];
  const names = options.length ? (secure ? "ClientOptions, Tls" : "ClientOptions") : "";
  const head = place.hasKey ? "import os\n\n" : "";
  const more = names ? `from services.client.channel import ${names}\n` : "";
  const target = `"${place.grpcTarget}"${names ? `, ClientOptions(${options.join(", ")})` : ""}`;
  const body = `with Client(${target}) as client:\n    answer = client.${call}\nprint(${shown})\n`;
  return `${head}${more}from services.client.sync import Client\n\n${body}`;
}

const imports = (place) => (place.hasKey ? "import os\n\nimport httpx" : "import httpx");
const keyArgument = (place) => (place.hasKey ? PYTHON_KEY : "");

/** A value as a Python literal. */
export function python(value) {
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([name, one]) => `${python(name)}: ${python(one)}`);
    return `{${entries.join(", ")}}`;
  }
  return JSON.stringify(value); // numbers and texts are written the same way in both
}

/** A text as one word of a POSIX shell. */
export const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
