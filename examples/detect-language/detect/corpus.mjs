// What the model learns from: names and phrases in every language that Node brings along, from Unicode's CLDR by way of Intl.

export const LANGUAGES = [
  "cs",
  "da",
  "de",
  "el",
  "en",
  "es",
  "et",
  "fi",
  "fr",
  "hr",
  "hu",
  "id",
  "it",
  "lt",
  "lv",
  "nl",
  "pl",
  "pt",
  "ro",
  "ru",
  "sk",
  "sl",
  "sv",
  "tr",
  "uk",
  "vi",
];
/** Every fifth name is kept for measuring, and so is never seen in training, in no language. */
const HELD_OUT_EVERY = 5;
const UNITS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];
const MEASURES = [
  "kilometer-per-hour",
  "liter",
  "meter",
  "kilogram",
  "degree",
  "percent",
  "celsius",
  "mile",
  "byte",
  "gram",
  "acre",
  "foot",
  "gallon",
  "inch",
  "ounce",
  "pound",
  "stone",
  "yard",
  "hectare",
  "day",
  "hour",
  "minute",
];
const NUMBERS = [0, 1, 2, 3, 5, 12, 21, 100];

/** `{ text, language }` of names that only one language has, and of phrases made of them. */
export function readCorpus(random) {
  const byLanguage = LANGUAGES.map((language) => ({
    language,
    names: namesIn(language),
    phrases: phrasesIn(language),
  }));
  const owners = new Map();
  for (const { names } of byLanguage) for (const text of names.values()) owners.set(text, (owners.get(text) ?? 0) + 1);
  const training = [];
  const heldOut = [];
  for (const { language, names, phrases } of byLanguage) {
    const parts = { true: [], false: [] };
    let index = 0;
    for (const text of names.values()) {
      if (owners.get(text) === 1) parts[index % HELD_OUT_EVERY === 0].push(text);
      index++;
    }
    const add = (list, texts) => list.push(...texts.map((text) => ({ text, language })));
    add(training, [...parts.false, ...phrases, ...listsOf(language, parts.false, random)]);
    add(heldOut, listsOf(language, parts.true, random));
  }
  return { training, heldOut };
}

/** By kind and code, in the same order in every language. */
function namesIn(language) {
  const names = new Map();
  for (const [type, codes] of Object.entries(CODES)) {
    const display = new Intl.DisplayNames(language, { type, fallback: "none" });
    for (const code of codes) names.set(`${type} ${code}`, display.of(code) ?? "");
  }
  return names;
}

const CODES = {
  region: regionCodes(),
  language: languageCodes(),
  currency: Intl.supportedValuesOf("currency"),
  script: [
    "Latn",
    "Cyrl",
    "Grek",
    "Arab",
    "Hebr",
    "Deva",
    "Hans",
    "Hant",
    "Jpan",
    "Kore",
    "Thai",
    "Geor",
    "Armn",
    "Ethi",
    "Brai",
    "Egyp",
    "Runr",
    "Goth",
    "Copt",
    "Phnx",
    "Zsym",
    "Zxxx",
    "Zyyy",
    "Zzzz",
    "Zmth",
    "Zsye",
  ],
  dateTimeField: [
    "era",
    "year",
    "quarter",
    "month",
    "weekOfYear",
    "weekday",
    "day",
    "dayPeriod",
    "hour",
    "minute",
    "second",
    "timeZoneName",
  ],
  calendar: Intl.supportedValuesOf("calendar"),
};

function pairs() {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return Array.from(letters).flatMap((first) => Array.from(letters, (second) => first + second));
}

function regionCodes() {
  const english = new Intl.DisplayNames("en", { type: "region", fallback: "none" });
  return [
    ...pairs(),
    ...[
      "001",
      "002",
      "003",
      "005",
      "009",
      "011",
      "013",
      "014",
      "015",
      "017",
      "018",
      "019",
      "021",
      "029",
      "030",
      "034",
      "035",
      "039",
      "053",
      "142",
      "143",
      "145",
      "150",
      "151",
      "154",
      "155",
    ],
  ].filter((code) => english.of(code));
}

function languageCodes() {
  const english = new Intl.DisplayNames("en", { type: "language", fallback: "none" });
  const codes = pairs().flatMap((pair) => [pair, ...Array.from("abcdefghijklmnopqrstuvwxyz", (third) => pair + third)]);
  return codes.map((code) => code.toLowerCase()).filter((code) => english.of(code));
}

function phrasesIn(language) {
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const always = new Intl.RelativeTimeFormat(language);
  const times = UNITS.flatMap((unit) =>
    NUMBERS.flatMap((number) => [
      relative.format(number, unit),
      relative.format(-number, unit),
      always.format(number, unit),
      always.format(-number, unit),
    ]),
  );
  const measures = MEASURES.flatMap((unit) =>
    NUMBERS.map((number) =>
      new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(number),
    ),
  );
  const amounts = ["USD", "EUR", "GBP", "JPY", "CHF", "PLN", "SEK", "TRY", "RUB", "CNY"].flatMap((currency) =>
    NUMBERS.map((number) =>
      new Intl.NumberFormat(language, { style: "currency", currency, currencyDisplay: "name" }).format(number),
    ),
  );
  return [...times, ...measures, ...amounts, ...datesIn(language)];
}

function datesIn(language) {
  const format = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "full", timeZone: "Europe/Berlin" });
  const alone = ["month", "weekday"].map(
    (field) => new Intl.DateTimeFormat(language, { [field]: "long", timeZone: "UTC" }),
  );
  return Array.from({ length: 120 }, (_, index) => new Date(Date.UTC(2020, 0, 1 + index * 13, index % 24))).flatMap(
    (date) => [format.format(date), ...alone.map((one) => one.format(date))],
  );
}

/** Names in lists, with the words for “and” and “or”: closer to how texts are than a name alone. */
function listsOf(language, names, random) {
  const formats = ["conjunction", "disjunction"].map((type) => new Intl.ListFormat(language, { type }));
  return names.map((name, index) => {
    const others = Array.from({ length: 1 + (index % 3) }, () => names[Math.floor(random() * names.length)]);
    return formats[index % formats.length].format([name, ...others]);
  });
}
