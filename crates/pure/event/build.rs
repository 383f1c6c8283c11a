//! Generates the messages, and a `Closed` implementation for each of them, without protoc.

use std::fmt::Write as _;
use std::{env, error::Error, fs, path::PathBuf};

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

const FILES: [&str; 5] = [
    "ledger/v1/terms.proto",
    "ledger/v1/genesis.proto",
    "ledger/v1/event.proto",
    "ledger/v1/record.proto",
    "ledger/v1/proof.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", root.display());

    let descriptors = protox::compile(FILES, [&root])?;
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    fs::write(out.join("closed.rs"), closed(&descriptors)?)?;
    prost_build::Config::new().bytes(["."]).out_dir(&out).compile_fds(descriptors)?;
    Ok(())
}

/// `impl Closed` for every message. All messages are top-level ones of one package, which keeps the names simple.
fn closed(descriptors: &FileDescriptorSet) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for message in descriptors.file.iter().flat_map(|file| &file.message_type) {
        if !message.nested_type.is_empty() || !message.enum_type.is_empty() {
            return Err(format!("{}: nested types are not supported", message.name()).into());
        }
        let checks: Vec<String> = plain_fields(message).filter_map(field_check).collect();
        let oneofs = (0..message.oneof_decl.len()).map(|index| oneof_check(message, index));
        let all: Vec<String> = checks.into_iter().chain(oneofs).collect();
        let body = if all.is_empty() { "true".to_owned() } else { all.join(" && ") };
        writeln!(
            code,
            "impl Closed for {} {{ fn is_closed(&self) -> bool {{ {body} }} }}",
            message.name().to_upper_camel_case()
        )?;
    }
    Ok(code)
}

fn plain_fields(message: &DescriptorProto) -> impl Iterator<Item = &FieldDescriptorProto> {
    message.field.iter().filter(|field| field.oneof_index.is_none())
}

fn field_check(field: &FieldDescriptorProto) -> Option<String> {
    let name = field.name().to_snake_case();
    let repeated = field.label() == Label::Repeated;
    match (field.r#type(), repeated) {
        (Type::Enum, false) => Some(format!("{}::try_from(self.{name}).is_ok()", type_name(field))),
        (Type::Enum, true) => {
            Some(format!("self.{name}.iter().all(|v| {}::try_from(*v).is_ok())", type_name(field)))
        }
        (Type::Message, false) => {
            Some(format!("self.{name}.as_ref().is_none_or(|m| m.is_closed())"))
        }
        (Type::Message, true) => Some(format!("self.{name}.iter().all(|m| m.is_closed())")),
        _ => None,
    }
}

/// A oneof of messages; every variant is checked.
fn oneof_check(message: &DescriptorProto, index: usize) -> String {
    let oneof = message.oneof_decl[index].name();
    let path = format!("{}::{}", message.name().to_snake_case(), oneof.to_upper_camel_case());
    let arms: String = message
        .field
        .iter()
        .filter(|field| field.oneof_index == i32::try_from(index).ok())
        .map(|field| {
            format!("{path}::{}(m) => m.is_closed(), ", field.name().to_upper_camel_case())
        })
        .collect();
    format!("self.{}.as_ref().is_none_or(|v| match v {{ {arms} }})", oneof.to_snake_case())
}

fn type_name(field: &FieldDescriptorProto) -> String {
    field.type_name().rsplit('.').next().unwrap_or_default().to_upper_camel_case()
}
