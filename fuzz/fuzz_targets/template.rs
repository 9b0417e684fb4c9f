//! Whatever values a template is filled with, it stays inside of the line it was written for.
#![no_main]

use std::sync::Arc;

use forebay_base::seed::Random;
use forebay_load::scope::Variables;
use forebay_load::template::{Template, check_name};
use libfuzzer_sys::fuzz_target;

// The value of every other name up to the first zero byte, the template after it.
fuzz_target!(|input: &[u8]| {
    let Some(at) = input.iter().position(|byte| *byte == 0) else { return };
    let (value, text) = (&input[..at], &input[at + 1..]);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(template) = Template::parse(text) else { return };

    let mut variables = Variables::new(Arc::from([]), 3, Random::from_seed(1));
    let mut missing = false;
    let mut names = 0;
    for (number, name) in template.names().enumerate() {
        assert_eq!(check_name(name), Ok(()));
        names += 1;
        match number % 16 {
            15 => missing |= variables.get(name).is_none(),
            _ => variables.set(name, value),
        }
    }
    if let Some(literal) = template.as_text() {
        assert_eq!((names, literal), (0, text.replace("{{{{", "{{").as_str()));
    }

    let mut body = Vec::new();
    if template.render(&mut variables, &mut body).is_err() {
        assert!(missing);
    }
    let mut target = Vec::new();
    if template.check_target().is_ok() && template.render_target(&mut variables, &mut target).is_ok() {
        assert!(target.starts_with(b"/") && !target.contains(&b'#'));
        assert!(target.iter().all(u8::is_ascii_graphic), "{:?}", String::from_utf8_lossy(&target));
    }
    let mut field = Vec::new();
    if template.check_field().is_ok() && template.render_field(&mut variables, &mut field).is_ok() {
        assert!(!field.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
});
