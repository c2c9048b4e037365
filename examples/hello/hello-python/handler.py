def handler(input, context):
    name = input.get("name") if isinstance(input, dict) else None
    return {"hello": name or "world"}
