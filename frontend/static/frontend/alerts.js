// The form for being told of outages: the parts follow the country that is chosen.

import { setUpPlace } from "./where.js";

const form = document.querySelector("form[data-alerts]");

if (form) setUpPlace(form, { preset: true });
