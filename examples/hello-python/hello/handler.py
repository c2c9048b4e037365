def handler(input, context):
    """`input` is the body: JSON decoded, text as str, other bytes as they are, None where there is none."""
    name = input.get("name") if isinstance(input, dict) else None
    context.log.info("greeting %s", name or "world")
    return {"hello": name or "world"}
