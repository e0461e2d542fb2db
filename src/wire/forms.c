/* SPDX-License-Identifier: MIT */
typedef int peal_forms_placeholder;
